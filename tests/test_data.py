"""The sample data: the generator writes the same bytes as lie in data/, and the data tells the story it should."""

from __future__ import annotations

import collections

import pytest

from tests.notebooks import generate_data


def test_the_sample_is_reproducible_to_the_byte() -> None:
    saved = generate_data.FILE.read_bytes()
    assert saved == generate_data.text().encode(), "run `python -m tests.notebooks.generate_data`"
    assert generate_data.text() == generate_data.text()
    assert len(saved) < 100_000


def test_only_files_that_the_generator_writes_lie_in_data() -> None:
    assert [file.name for file in generate_data.FILE.parent.iterdir()] == [generate_data.FILE.name]


def test_one_transfer_was_completed_twice_and_reversed_once() -> None:
    done = collections.Counter((row["case"], row["activity"]) for row in generate_data.rows())
    assert [key for key, count in done.items() if count > 1 and key[1] not in ("MoneyDeposited", "MoneyWithdrawn")] == [
        (generate_data.REPEATED, "TransferCompleted")
    ]
    assert done[generate_data.REPEATED, "TransferReversed"] == 1


@pytest.mark.parametrize("kind", ["account", "transfer"])
def test_both_kinds_of_streams_are_there(kind: str) -> None:
    assert sum(row["case"].startswith(f"{kind}-") for row in generate_data.rows()) > 20
