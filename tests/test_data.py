"""The sample data: the generator writes the same bytes as lie in data/, and the data tells the story it should."""

from __future__ import annotations

import collections

import pytest

import eventsourcing_kit as ek
from tests.notebooks import generate_data, generate_shop


def test_the_sample_is_reproducible_to_the_byte() -> None:
    saved = generate_data.FILE.read_bytes()
    assert saved == generate_data.text().encode(), "run `python -m tests.notebooks.generate_data`"
    assert generate_data.text() == generate_data.text()
    assert len(saved) < 100_000


def test_only_files_that_the_generator_writes_lie_in_data() -> None:
    assert {file.name for file in generate_data.FILE.parent.iterdir()} == {
        generate_data.FILE.name,
        generate_shop.FILE.name,
    }


def test_the_shop_s_log_is_what_its_generator_writes_and_one_parcel_has_an_old_address() -> None:
    assert generate_shop.FILE.read_text() == generate_shop.text(), "run `python -m tests.notebooks.generate_shop`"
    store = ek.from_file(generate_shop.FILE)
    returned = [event.tags[0] for event in store.read(types=["parcel returned"])]
    assert returned == ["parcel:p2"]


def test_one_transfer_was_completed_twice_and_reversed_once() -> None:
    done = collections.Counter((row["case"], row["activity"]) for row in generate_data.rows())
    assert [key for key, count in done.items() if count > 1 and key[1] not in ("MoneyDeposited", "MoneyWithdrawn")] == [
        (generate_data.REPEATED, "TransferCompleted")
    ]
    assert done[generate_data.REPEATED, "TransferReversed"] == 1


@pytest.mark.parametrize("kind", ["account", "transfer"])
def test_both_kinds_of_streams_are_there(kind: str) -> None:
    assert sum(row["case"].startswith(f"{kind}-") for row in generate_data.rows()) > 20
