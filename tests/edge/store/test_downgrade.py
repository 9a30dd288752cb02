"""An older version of a network that was installed is not installed again unless that is asked for."""

import os
from pathlib import Path

import pytest

from edge.errors import ModelError, Refused, StorageError
from edge.store import lifecycle, models, sandbox
from tests.edge.on_device import current, resealed


@pytest.fixture(autouse=True)
def no_trial(monkeypatch):
    monkeypatch.setattr(sandbox, "run_in_child", lambda model: "tried")


def versioned(folder: Path, version: int | None, *, name: str = "", network: str = "net", labels: tuple[str, ...] = ()) -> Path:
    """The wheel's model sealed anew as `version` of `network`."""
    account = {"provenance": {"network": network}} | ({} if version is None else {"model_version": version})
    name = name or f"v{version}"
    return resealed(folder / f"{name}.tflite", name=name, account=account, **({"labels": labels} if labels else {}))


def install(path: Path, store: Path, **options) -> str:
    lifecycle.install(str(path), store=str(store), **options)
    return current(store)


def test_an_older_version_is_refused_and_the_current_one_stays(tmp_path, store):
    two = versioned(tmp_path, 2)
    assert install(two, store) == "v2"
    for older in (versioned(tmp_path, 1), versioned(tmp_path, None)):  # one signed before versions counts as 0
        with pytest.raises(Refused, match=r"version [01] of net; version 2 was installed; --allow-downgrade takes it"):
            install(older, store)
        assert current(store) == "v2"
    assert install(two, store) == "v2"
    assert install(versioned(tmp_path, 3), store) == "v3"
    assert install(versioned(tmp_path, 2), store, allow_downgrade=True) == "v2"


def test_a_rollback_goes_back_and_does_not_let_older_ones_in(tmp_path, store):
    install(versioned(tmp_path, 2), store)
    install(versioned(tmp_path, 3), store)
    lifecycle.rollback(store=str(store))
    assert current(store) == "v2"
    with pytest.raises(Refused, match="version 3 was installed"):
        install(versioned(tmp_path, 2, name="again"), store)


def test_only_the_same_network_with_the_same_labels_is_compared(tmp_path, store):
    install(versioned(tmp_path, 5), store)
    assert install(versioned(tmp_path, 1, name="other", network="other net"), store) == "other"
    assert install(versioned(tmp_path, 1, name="letters", labels=tuple("abcdefghij")), store) == "letters"
    for number in range(models.MAX_MODELS):  # the first is no longer in the store, and still known
        install(versioned(tmp_path, 1, name=f"n{number}", network=f"n{number}"), store)
    with pytest.raises(Refused, match="version 5 was installed"):
        install(versioned(tmp_path, 4), store)


@pytest.mark.parametrize("damage", [b"\0\xff", b"", None])  # None: a FIFO, for which a reader would wait
def test_a_damaged_record_lets_nothing_in_by_itself(damage, tmp_path, store):
    install(versioned(tmp_path, 2), store)
    (store / "versions").unlink()
    if damage is None:
        os.mkfifo(store / "versions")
    else:
        (store / "versions").write_bytes(damage)
    with pytest.raises(ModelError, match=r"versions: cannot be read, so no model is known to be new; install with --allow"):
        install(versioned(tmp_path, 3), store)
    assert install(versioned(tmp_path, None), store, allow_downgrade=True) == "vNone"
    assert install(versioned(tmp_path, 3), store) == "v3"


def test_a_record_that_the_disk_does_not_give_is_kept_and_lets_nothing_in(tmp_path, store, monkeypatch):
    install(versioned(tmp_path, 2), store)
    record = (store / "versions").read_bytes()

    def fails(path: str) -> bytes:
        raise OSError(5, "Input/output error", path)

    for allow_downgrade in (False, True):
        with monkeypatch.context() as patched:
            patched.setattr(models, "_read", fails)
            with pytest.raises(StorageError, match="versions: Input/output error"):
                install(versioned(tmp_path, 3), store, allow_downgrade=allow_downgrade)
        assert (store / "versions").read_bytes() == record


def test_a_fifo_for_the_name_of_the_current_model_is_replaced_and_not_waited_for(tmp_path, store):
    store.mkdir(parents=True, exist_ok=True)
    os.mkfifo(store / "current")
    assert install(versioned(tmp_path, 1), store) == "v1"
