"""Models arriving on a device: the real commands install good ones, go back and list them."""

import os

from edge.store import lifecycle, models
from tests.edge.on_device import SEVEN, SHIPPED, current, done, edge, file_of, flip, place, predict, refused, resealed, tree


def test_an_installed_model_answers_and_the_one_before_stays(model_files, store):
    assert "lenet5-relu-mnist-int8.tflite: litert-c" in predict(store).stderr
    done("install", model_files["first"], store=store, says="first.tflite (")
    done("install", model_files["second"], store=store, says="; before it: first.tflite (")
    ended = predict(store)
    assert f"{file_of('second', store)}: litert-c" in ended.stderr  # verified when installed, so the fast engine runs it
    assert ended.stdout.startswith(f"{SEVEN}: 7 (")
    assert file_of("first", store).read_bytes() == model_files["first"].read_bytes()
    assert "first.tflite: litert " in predict(store, EDGEPROOF_MODEL=str(model_files["first"])).stderr


def test_installing_the_same_model_again_says_so_and_mends_a_stored_file_that_was_damaged(model_files, store):
    done("install", model_files["first"], store=store, says="installed, and current: 15 pictures: 15 bit for bit by litert ")
    before = tree(store)
    for damage in (lambda path: None, flip):
        damage(file_of("first", store))
        done("install", model_files["first"], store=store, says="was current already")
        assert tree(store) == before


def test_installing_an_earlier_model_brings_it_to_the_front(model_files, store):
    for name in ("first", "second", "first"):
        lifecycle.install(str(model_files[name]), store=str(store))
    assert [entry.file_name for entry in models.history(str(store))] == ["first.tflite", "second.tflite"]


def test_of_many_models_the_current_one_and_two_before_it_are_kept(model_files, tmp_path, store):
    model_files["fourth"] = resealed(tmp_path / "fourth.tflite", name="fourth")
    place(*(model_files[name] for name in ("first", "second", "third")), store=store)
    lifecycle.install(str(model_files["fourth"]), store=str(store))
    assert sorted(path.name for path in store.glob("models/*/*")) == ["fourth.tflite", "second.tflite", "third.tflite"]


def test_an_onnx_model_is_installed_and_answers(onnx, store):
    done("install", onnx, store=store, says="bit for bit by onnxruntime ")
    assert "lenet5-relu-digits-int8.onnx: onnxruntime " in predict(store).stderr


def test_rollback_goes_back_model_by_model_to_the_one_that_came_along(model_files, store):
    refused("rollback", store=store, code=1, says="nothing to go back to: nothing is installed in ")
    place(model_files["first"], model_files["second"], store=store)
    done("rollback", store=store, says="first.tflite (")
    assert current(store) == "first"
    done("rollback", store=store, says="lenet5-relu-mnist-int8.tflite (came with edgeproof): current again")
    assert "lenet5-relu-mnist-int8.tflite: litert-c" in predict(store).stderr
    refused("rollback", store=store, code=1, says="nothing to go back to")


def test_rollback_to_a_model_of_another_task_says_so(store, tmp_path):
    letters = resealed(tmp_path / "letters.tflite", name="letters", labels=tuple("abcdefghij"))
    place(letters, store=store)
    ended = edge("rollback", store=store)
    assert (ended.returncode, ended.stderr.count("\n")) == (0, 1)
    assert "(came with edgeproof) has other labels than letters.tflite (" in ended.stderr


def test_rollback_passes_over_a_model_that_was_damaged_meanwhile(model_files, store):
    place(*model_files.values(), store=store)
    flip(file_of("second", store))
    ended = edge("rollback", store=store)
    assert (ended.returncode, current(store)) == (0, "first")
    assert ended.stderr.startswith("edge: passed over: ") and "second.tflite: damaged" in ended.stderr


def test_list_names_every_model_its_part_and_its_state(model_files, store):
    done("list", store=store, says=f"nothing is installed in {store}: lenet5-relu-mnist-int8.tflite (came with edgeproof)")
    place(*model_files.values(), store=store)
    lifecycle.rollback(store=str(store))
    flip(file_of("first", store))
    lines = edge("list", store=store).stdout.splitlines()
    size = f"int8  {model_files['second'].stat().st_size:,} bytes  drop "
    assert [line.split()[0] for line in lines] == ["current", "previous", "unused"]
    assert "second.tflite (" in lines[0] and size in lines[0] and lines[0].endswith(" points (n = 10,000)")
    assert "first.tflite: damaged: the seal reads" in lines[1]
    assert "third.tflite (" in lines[2]


def test_a_slip_of_the_keyboard_is_2(store):
    refused("start", "--after", "0", store=store, code=2, says="--after 0: wanted 1 or more")
    refused("install", SHIPPED, "--store", "", store=store, code=2, says="--store is empty; name a folder")
    assert not store.exists()


def test_the_help_says_which_exit_code_means_what(store):
    text = edge("install", "--help", store=store).stdout
    assert all(f" {code} " in text.replace("\n", " ") for code in (0, 1, 2, 65, 66, 69, 71, 74, 78, 130))


def test_list_says_that_a_store_is_no_folder(tmp_path):
    os.mkfifo(tmp_path / "store")
    ended = edge("list", "--store", str(tmp_path / "store"), store=tmp_path / "unused")
    assert (ended.returncode, ended.stdout) == (74, "") and "store: not a folder; name one with --store" in ended.stderr
