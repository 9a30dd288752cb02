"""Hiding what native libraries print: alone, nested, and from threads whose blocks overlap."""

import os

import pytest

from edge.silence import silence_native_output


def say(text: str) -> None:
    os.write(1, text.encode())
    os.write(2, text.encode())


def test_what_is_written_inside_is_hidden_and_what_is_written_after_is_heard(capfd):
    with silence_native_output():
        say("chatter")
    say("answer")
    assert capfd.readouterr() == ("answer", "answer")


def test_blocks_that_overlap_bring_the_streams_back_whoever_leaves_last(capfd):
    # As two threads that load a model each: first in, second in, first out, second out.
    first, second = silence_native_output(), silence_native_output()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    say("chatter of the second")
    second.__exit__(None, None, None)
    say("answer")
    assert capfd.readouterr() == ("answer", "answer")


def test_what_is_raised_passes_and_the_streams_are_back(capfd):
    with pytest.raises(KeyError), silence_native_output():
        raise KeyError
    say("answer")
    assert capfd.readouterr().out == "answer"
