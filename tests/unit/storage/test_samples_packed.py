"""Many small files: packed, read one by one, in an order that is everyone's, gone on with anywhere."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import CorruptError, NotFound, StoreError, UserError
from bedplate.core.records import Draft
from bedplate.core.samples import Place, Sample
from bedplate.storage import packs
from bedplate.storage.backends.order import EpochOrder, shuffled
from bedplate.storage.backends.samples import FileSamples, of
from bedplate.storage.manifests import SHARDS, FilesShelf
from bedplate.storage.shelf import Save

COUNT = 1_200
SHUFFLED_7_0 = [3, 7, 1, 6, 4, 0, 9, 5, 8, 2]
"""By a SplitMix64 of plain Python integers."""


def content(number: int) -> bytes:
    """Every third file is the same as the one before it."""
    return b"%d" % (number - (number % 3 == 2)) * 7


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(COUNT):
        path = tmp_path / "in" / f"{number % 10}" / f"{number:05}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(number))
    return tmp_path / "in"


@pytest.fixture
def shelf(tmp_path: Path) -> FilesShelf:
    return FilesShelf(tmp_path / "store")


def save(shelf: FilesShelf, folder: Path, prior: Draft | None = None) -> Draft:
    return shelf.save(Save(kind="files", artifact="images", value=folder, attempt="a-1", prior=prior))


def read(samples: FileSamples, **options: int) -> list[str]:
    return [sample.name for sample in samples.read(seed=5, **options)]


def test_many_small_files_become_a_few_shards_with_equal_content_once(shelf: FilesShelf, folder: Path) -> None:
    draft = save(shelf, folder)
    assert draft.meta["files"] == COUNT
    assert draft.meta["same"] == COUNT // 3
    assert len(draft.meta[SHARDS]) == 1
    samples = of(shelf.blobs, draft)
    assert {sample.name: sample.data for sample in samples} == {f"{n % 10}/{n:05}.bin": content(n) for n in range(COUNT)}


def test_packing_changes_no_digest(shelf: FilesShelf, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files kept one by one are the same version (invariant 1)."""
    packed = save(shelf, folder)
    monkeypatch.setattr(packs, "LEAST_FILES", COUNT + 1)
    apart = save(shelf, folder)
    assert SHARDS not in apart.meta
    assert packed.digest == apart.digest
    assert [sample.data for sample in of(shelf.blobs, apart)] == [sample.data for sample in of(shelf.blobs, packed)]


def test_a_version_with_some_more_files_writes_only_those(shelf: FilesShelf, folder: Path) -> None:
    first = save(shelf, folder)
    (folder / "0" / "more.bin").write_bytes(b"another" * 100)
    second = save(shelf, folder, first)
    new = [size for shard, size in second.meta[SHARDS] if [shard, size] not in first.meta[SHARDS]]
    assert new == [700]
    assert len(of(shelf.blobs, second)) == COUNT + 1


def test_a_consumer_of_paths_gets_the_files_under_their_names_and_again_where_one_was_touched(shelf: FilesShelf, folder: Path) -> None:
    draft = save(shelf, folder)
    out = shelf.load(draft, "path", None)
    assert (out / "3" / "00013.bin").read_bytes() == content(13)
    (out / "3" / "00013.bin").unlink()
    assert (shelf.load(draft, "path", None) / "3" / "00013.bin").read_bytes() == content(13)


def test_a_flipped_bit_is_found_when_its_sample_is_read_and_by_verify(shelf: FilesShelf, folder: Path) -> None:
    draft = save(shelf, folder)
    shard = shelf.blobs.path(draft.meta[SHARDS][0][0])
    shard.chmod(0o644)
    held = bytearray(shard.read_bytes())
    held[0] ^= 1
    shard.write_bytes(held)
    samples = of(shelf.blobs, draft)
    with pytest.raises(CorruptError, match="is corrupt"):
        samples["0/00000.bin"]
    assert samples["9/01199.bin"].data == content(1199)
    with pytest.raises(CorruptError):
        shelf.verify(draft)


def test_a_shard_that_is_gone_or_cut_is_missed_without_reading_the_table(shelf: FilesShelf, folder: Path) -> None:
    draft = save(shelf, folder)
    assert shelf.missing(draft) == []
    shard = shelf.blobs.path(draft.meta[SHARDS][0][0])
    shard.chmod(0o644)
    shard.write_bytes(shard.read_bytes()[:-1])
    assert shelf.missing(draft) == [shelf.blobs.relative(draft.meta[SHARDS][0][0])]
    with pytest.raises((StoreError, CorruptError)):
        list(of(shelf.blobs, draft))
    shard.unlink()
    assert shelf.missing(draft) == [shelf.blobs.relative(draft.meta[SHARDS][0][0])]


def test_everything_that_a_packed_version_needs_is_kept_from_gc(shelf: FilesShelf, folder: Path) -> None:
    draft = save(shelf, folder)
    assert {draft.uri, *(shelf.blobs.relative(shard) for shard, _ in draft.meta[SHARDS])} <= set(shelf.keeps(draft))


def test_an_epoch_gives_each_sample_once_and_another_epoch_another_order(shelf: FilesShelf, folder: Path) -> None:
    samples = of(shelf.blobs, save(shelf, folder))
    first, second = read(samples, epoch=0), read(samples, epoch=1)
    assert sorted(first) == sorted(second) == list(samples.names)
    assert first != second
    assert first == read(samples, epoch=0, threads=4, ahead=32)


def test_a_reading_goes_on_where_it_stood_also_on_another_number_of_ranks(shelf: FilesShelf, folder: Path) -> None:
    """Two ranks read 100 each and die; three go on: nothing is lost, nothing comes twice."""
    samples = of(shelf.blobs, save(shelf, folder))
    seen: list[str] = []
    for rank in range(2):
        reading = samples.read(seed=5, rank=rank, world=2)
        for _, sample in zip(range(100), reading, strict=False):
            seen.append(sample.name)
        place = reading.place()
    assert place == Place(epoch=0, done=200)
    for rank in range(3):
        seen += read(samples, rank=rank, world=3, done=place.done)
    assert sorted(seen) == list(samples.names)


def test_the_end_of_an_epoch_is_the_beginning_of_the_next(shelf: FilesShelf, folder: Path) -> None:
    reading = of(shelf.blobs, save(shelf, folder)).read()
    assert len(list(reading)) == COUNT
    assert reading.place() == Place(epoch=1, done=0)


def test_what_was_read_and_waited_for_is_counted(shelf: FilesShelf, folder: Path) -> None:
    samples = of(shelf.blobs, save(shelf, folder))
    list(samples.map(lambda sample: len(sample.data)).read())
    told = samples.told()
    assert told["samples"] == COUNT
    assert told["bytes"] == sum(len(content(number)) for number in range(COUNT))
    assert told["stalled_s"] > 0


def test_an_error_of_the_decoder_reaches_whoever_reads(shelf: FilesShelf, folder: Path) -> None:
    def decode(sample: Sample) -> int:
        raise ValueError(f"{sample.name} is no image")

    with pytest.raises(ValueError, match="is no image"):
        list(of(shelf.blobs, save(shelf, folder)).map(decode).read())


def test_samples_are_found_by_name_and_picked_by_chance(shelf: FilesShelf, folder: Path) -> None:
    samples = of(shelf.blobs, save(shelf, folder))
    assert samples["3/00013.bin"].data == content(13)
    with pytest.raises(NotFound, match="no sample 'x'"):
        samples["x"]
    picked = samples.pick(10, seed=1)
    assert len({sample.name for sample in picked}) == 10
    assert picked == samples.pick(10, seed=1)


def test_samples_can_be_sent_to_another_process(shelf: FilesShelf, folder: Path) -> None:
    """A DataLoader's worker that is spawned and not forked."""
    samples = of(shelf.blobs, save(shelf, folder))
    assert pickle.loads(pickle.dumps(samples))["3/00013.bin"] == samples["3/00013.bin"]


@given(count=st.integers(0, 300), world=st.integers(1, 9), done=st.integers(0, 300), seed=st.integers(-(2**70), 2**70), even=st.booleans())
def test_ranks_share_what_is_left(count: int, world: int, done: int, seed: int, even: bool) -> None:
    """Disjoint, complete, and within one of the same length; with `even` of the same length and complete."""
    done = min(done, count)
    shares = [
        list(EpochOrder(count, seed=seed, epoch=1, rank=rank, world=world, done=done, even=even)) for rank in range(world)
    ]  # fmt: skip
    left = shuffled(count, seed, 1)[done:].tolist()
    lengths = {len(share) for share in shares}
    assert set().union(*shares) == set(left)
    assert max(lengths) - min(lengths) <= (0 if even else 1)
    if not even:
        assert sum(map(len, shares)) == len(left)


def test_the_shuffle_is_the_same_on_every_machine() -> None:
    """A change of it would double and lose samples of every run that goes on; these numbers were worked out once."""
    assert shuffled(10, seed=7, epoch=0).tolist() == SHUFFLED_7_0


def test_a_rank_that_is_none_and_a_place_past_the_end_are_refused() -> None:
    for wrong in ({"rank": 2}, {"rank": -1}, {"done": 11}):
        with pytest.raises(UserError):
            EpochOrder(10, **{"seed": 0, "epoch": 0, "rank": 0, "world": 2, "done": 0, "even": False, **wrong})
