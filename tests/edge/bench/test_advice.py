"""Which model to ship."""

from edge.bench.advice import Choice, advise, clearly_better, drawn


def choice(name: str, top1: float | None, us: float, kb: float = 100.0, **changes: object) -> Choice:
    made = {"n_images": 10_000, "low_us": 0.97 * us, "high_us": 1.03 * us, "peak_mib": 19.0}
    return Choice(**({"name": name, "top1": top1, "us": us, "model_bytes": round(1000 * kb)} | made | changes))


SMALL, EXACT, LARGE = choice("small", 0.990, 50.0), choice("exact", 0.996, 80.0), choice("large", 0.9965, 700.0, kb=3300.0)


def test_the_fastest_of_those_that_are_as_accurate_as_the_best_is_shipped():
    chosen, said = advise([SMALL, EXACT, LARGE])
    assert chosen is EXACT  # 0.05 points of 10,000 may be chance, 0.6 are not
    assert said.startswith("Ship exact: 99.60 % top-1 (n = 10,000), 100.0 kB, 80.0 µs, 19 MiB.")
    assert "large has 0.05 points more, which may be chance, for 8.8 times as long, 33.0 times the bytes." in said
    assert said.endswith("small takes 0.62 times the time and has 0.60 points less.")


def test_limits_leave_models_out_and_the_whole_interval_must_keep_them():
    chosen, said = advise([SMALL, EXACT, LARGE], max_us=81.0)
    assert chosen is SMALL
    assert said.endswith("exact may keep 81.0 µs or not: 77.6 µs to 82.4 µs.")
    assert advise([EXACT, LARGE], max_kb=200)[0] is EXACT


def test_none_within_the_limits_names_the_nearest():
    chosen, said = advise([EXACT, LARGE], max_us=60, max_kb=200)
    assert chosen is None
    assert said == (
        "None of 2 models with at most 60.0 µs and at most 200 kB: the fastest that is small enough is exact, "
        "80.0 µs (77.6 µs to 82.4 µs), 100.0 kB."
    )


def test_among_equally_fast_ones_the_smallest_is_shipped():
    twin = choice("twin", 0.996, 81.0, kb=40.0)
    assert advise([EXACT, twin])[0] is twin


def test_a_model_without_an_accuracy_is_not_advised():
    assert advise([choice("unknown", None, 1.0)]) == (None, "None of 1 models: no manifest states an accuracy.")


def test_chance_is_that_of_two_proportions():
    # 0.2 points of 10,000 at 99.5 %: s.d. 0.0998 points, so 1.96 s.d. are 0.196.
    assert clearly_better(choice("a", 0.9960, 1.0), choice("b", 0.9940, 1.0))
    assert not clearly_better(choice("a", 0.99595, 1.0), choice("b", 0.9941, 1.0))
    assert not clearly_better(choice("a", 0.996, 1.0, n_images=600), choice("b", 0.990, 1.0, n_images=600))


def test_the_trade_off_is_drawn_with_the_advised_model_in_brackets():
    lines = drawn([SMALL, EXACT, LARGE], EXACT)
    text = "\n".join(lines)
    assert "(B)" in text and "99.65 %" in lines[0] and lines[0].rstrip().endswith("C")
    assert [line[:4] for line in lines[-3:]] == ["* A ", "→ B ", "* C "]
    assert max(map(len, lines)) < 100
    assert len(drawn([SMALL], SMALL)) == 1
