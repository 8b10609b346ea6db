"""Signed notes and checkpoints: the published example, and every way to spell them wrongly."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.audit.note import (
    Checkpoint,
    Signer,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_signer,
    parse_verifier,
)
from compliance.errors import NoteError

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/audit/notes.json").read_text())
SIGNER = Signer("example.test/log", bytes(range(32)))
CHECKPOINT = Checkpoint("example.test/log", 12, bytes(range(32)))
NOTE = SIGNER.sign(str(CHECKPOINT))


def test_the_published_example_opens() -> None:
    verifier = parse_verifier(VECTORS["vkey"])
    assert verifier.name == "PeterNeumann"
    assert open_note(VECTORS["note"], verifier) == VECTORS["text"]
    assert str(verifier) == VECTORS["vkey"]


@pytest.mark.parametrize("kind", VECTORS["bad_vkeys"])
def test_bad_verifier_keys(kind: str) -> None:
    with pytest.raises(NoteError):
        parse_verifier(VECTORS["bad_vkeys"][kind])


@pytest.mark.parametrize("kind", VECTORS["bad_checkpoints"])
def test_bad_checkpoints(kind: str) -> None:
    with pytest.raises(NoteError):
        parse_checkpoint(VECTORS["bad_checkpoints"][kind])


def test_keys_survive_their_spelling() -> None:
    assert parse_signer(str(SIGNER)) == SIGNER
    assert parse_verifier(str(SIGNER.verifier)) == SIGNER.verifier
    with pytest.raises(NoteError):
        parse_signer(str(SIGNER.verifier))


def test_a_signer_does_not_print_its_secret() -> None:
    assert str(SIGNER) not in repr(SIGNER)
    assert "\\x01\\x02" not in repr(SIGNER)


def test_checkpoints_survive_their_note() -> None:
    assert open_checkpoint(NOTE, SIGNER.verifier) == CHECKPOINT


def test_signatures_of_others_are_skipped() -> None:
    witness = Signer("witness.test", bytes(32)).sign(str(CHECKPOINT)).rsplit("\n\n", 1)[1]
    assert open_checkpoint(NOTE + witness, SIGNER.verifier) == CHECKPOINT


def test_another_log_is_refused() -> None:
    with pytest.raises(NoteError, match="not signed by"):
        open_checkpoint(NOTE, Signer("example.test/other", bytes(range(32))).verifier)
    with pytest.raises(NoteError, match="another log"):
        open_checkpoint(SIGNER.sign("other\n12\n" + NOTE.split("\n")[2] + "\n"), SIGNER.verifier)


@given(st.integers(0, len(NOTE.encode()) - 1), st.integers(1, 255))
def test_no_byte_of_a_note_can_change(at: int, flip: int) -> None:
    data = bytearray(NOTE.encode())
    data[at] ^= flip
    with pytest.raises(NoteError):
        open_checkpoint(data.decode("utf-8", "surrogateescape"), SIGNER.verifier)


@given(st.integers(0, len(str(SIGNER)) - 1), st.characters())
def test_no_character_of_a_key_can_change(at: int, character: str) -> None:
    for text, parse in ((str(SIGNER), parse_signer), (str(SIGNER.verifier), parse_verifier)):
        changed = text[:at] + character + text[at + 1 :]
        if changed != text:
            with pytest.raises(NoteError):
                parse(changed)


@given(st.text())
def test_hostile_text_is_a_note_error(text: str) -> None:
    for call in (
        lambda: open_note(text, SIGNER.verifier),
        lambda: open_note(f"{text}\n\n— {text} {text}\n", SIGNER.verifier),
        lambda: parse_verifier(text),
        lambda: parse_verifier(f"{text}+{text}+{text}"),
        lambda: parse_signer(f"PRIVATE+KEY+{text}"),
    ):
        with pytest.raises(NoteError):
            call()
