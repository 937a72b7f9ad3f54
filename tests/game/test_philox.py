"""Random words by the published answers, normals by scipy's quantiles, each way to draw by the others."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pytest
import torch
from scipy.special import ndtri
from scipy.stats import kstest

from benchmarks.draws import quality
from benchmarks.draws import table as normal_table
from ganbench.game import philox
from ganbench.game.draws import Draw, draw_steps
from ganbench.game.philox import native, tensors

WORD = 0xFFFFFFFF
# Random123's kat_vectors, philox4x32 with 10 rounds
ANSWERS = {
    "zeros": ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    "ones": ([WORD] * 4, [WORD] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    "pi": (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
}
KEYS = torch.tensor([[5, 7], [WORD, 3], [0, 2**31]])
SHAPES = [(3, 1, 1), (2, 3, 5), (4, 2, 64), (1, 1, 513), (2, 1, 4 * 128 + 3)]
WAYS = list(itertools.product(("normal", "uniform"), (torch.float32, torch.float64)))

with_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="needs a C compiler"
)


def words_by_hand(counter, key):
    """Philox4x32-10 in Python's integers, after the paper."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        even, odd = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (odd >> 32) ^ c1 ^ k0, odd & WORD, (even >> 32) ^ c3 ^ k1, even & WORD
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return [c0, c1, c2, c3]


def as_tensors(numbers):
    return tuple(torch.tensor([number]) for number in numbers)


@pytest.mark.parametrize("name", ANSWERS)
def test_published_answers(name):
    counter, key, answer = ANSWERS[name]
    assert torch.cat(tensors.philox(as_tensors(counter), as_tensors(key))).tolist() == answer
    assert words_by_hand(counter, key) == answer


@pytest.mark.parametrize("draws", [philox.drawn, tensors.drawn])
def test_which_word_an_element_is(draws):
    steps, count = range(2**32 - 1, 2**32 + 1), 10
    drawn = draws("uniform", KEYS, steps, count, torch.float64)
    for (s, step), (k, key) in itertools.product(enumerate(steps), enumerate(KEYS.tolist())):
        for element in range(count):
            word, block = divmod(element, 3)
            expected = words_by_hand([block, 0, step & WORD, step >> 32], key)[word]
            assert drawn[s, k, element] == expected / 2**32


@with_compiler
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("distribution", "dtype"), WAYS)
def test_c_draws_what_tensors_do(distribution, dtype, shape):
    steps, keys, count = shape
    arguments = (distribution, KEYS[:keys], range(2**33, 2**33 + steps), count, dtype)
    by_c = native.drawn(*arguments)
    assert by_c is not None
    assert by_c.dtype == dtype
    assert torch.equal(by_c, tensors.drawn(*arguments))


@with_compiler
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("distribution", "dtype"), WAYS)
def test_inductor_draws_what_tensors_do(distribution, dtype):
    compiled = torch.compile(tensors.numbers, dynamic=True)
    for steps, keys, blocks in ((2, 3, 5), (5, 2, 70)):
        arguments = (
            distribution, dtype, KEYS[:keys], torch.arange(steps) + 2**33, torch.arange(blocks),
            torch.from_numpy(tensors.table()),
        )  # fmt: skip
        assert torch.equal(compiled(*arguments), tensors.numbers(*arguments))


def test_pieces_are_the_whole(monkeypatch):
    arguments = ("normal", KEYS, range(7), 9, torch.float32)
    whole = tensors.drawn(*arguments)
    monkeypatch.setattr(tensors, "_ON_CPU", 1)
    assert torch.equal(tensors.drawn(*arguments), whole)


def test_where_fusing_fails_the_numbers_are_the_same(monkeypatch):
    tried = []

    def fails(*arguments):
        tried.append(arguments)
        raise RuntimeError("no Triton")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: fails)
    fused = tensors._fused.__wrapped__()
    arguments = ("normal", torch.float32, KEYS, torch.arange(2), torch.arange(3))
    for _ in range(2):
        drawn = fused(*arguments, torch.from_numpy(tensors.table()))
        assert torch.equal(drawn, tensors.numbers(*arguments, torch.from_numpy(tensors.table())))
    assert len(tried) == 1  # once is enough


@pytest.fixture
def no_library(monkeypatch, tmp_path):
    """No library in the cache, and none loaded, before and after."""
    monkeypatch.setenv("GANBENCH_CACHE", str(tmp_path))
    native._library.cache_clear()
    yield tmp_path
    native._library.cache_clear()


def test_without_a_compiler_the_numbers_are_the_same(no_library, monkeypatch):
    arguments = ("normal", KEYS, range(3), 6, torch.float32)
    monkeypatch.setattr(native, "_COMPILERS", ("no-such-compiler",))
    assert native.drawn(*arguments) is None
    assert torch.equal(philox.drawn(*arguments), tensors.drawn(*arguments))


@with_compiler
def test_a_library_that_draws_other_numbers_is_not_used(no_library, monkeypatch):
    wrong = native._SOURCE.read_text().replace("0x9E3779B9", "0x9E3779BA")
    (no_library / "wrong.c").write_text(wrong)
    monkeypatch.setattr(native, "_SOURCE", no_library / "wrong.c")
    assert native.drawn("normal", KEYS, range(1), 4, torch.float32) is None


@with_compiler
def test_a_library_is_compiled_once(no_library, monkeypatch):
    assert native.drawn("normal", KEYS, range(1), 4, torch.float32) is not None
    (library,) = no_library.iterdir()
    native._library.cache_clear()
    monkeypatch.setattr(native, "_COMPILERS", ())
    assert native.drawn("normal", KEYS, range(1), 4, torch.float32) is not None
    assert list(no_library.iterdir()) == [library]


def test_what_is_traced_is_drawn_by_tensors():
    with torch._subclasses.FakeTensorMode():
        drawn = philox.drawn("normal", torch.zeros((2, 2), dtype=torch.int64), range(3), 5, torch.float32)
        assert (drawn.shape, drawn.dtype) == ((3, 2, 5), torch.float32)
    on_meta = philox.drawn("normal", KEYS.to("meta"), range(3), 5, torch.float32)
    assert (on_meta.shape, on_meta.device.type) == ((3, 3, 5), "meta")
    real = philox.drawn("normal", KEYS, range(3), 5, torch.float32)
    assert torch.equal(real, tensors.drawn("normal", KEYS, range(3), 5, torch.float32))


def test_other_types_are_refused():
    with pytest.raises(ValueError, match="float32 or float64"):
        philox.drawn("normal", KEYS, range(1), 4, torch.float16)


def exact(words):
    """The quantiles in float64."""
    size = -ndtri((words | 1).numpy() / 2.0**33)
    return np.where(words.numpy() & 1, -size, size)


def normals(words):
    return tensors.normal(words, torch.from_numpy(tensors.table())).numpy() / 2.0**tensors.FRACTION


def test_normals_are_the_quantiles_everywhere():
    # 257 words in each segment: its ends and between; all words where it has fewer
    places = normal_table.tails(np.linspace(0, 1, 257))
    words = torch.from_numpy(np.unique(np.clip(places, 0, WORD).astype(np.int64))) | 1
    assert len(words) > 300_000
    errors = np.abs(normals(words) - exact(words))
    assert errors.max() < 6e-11
    # near 0, where numbers are close together: a fiftieth of their distance
    assert errors[words.numpy() > 0.9 * WORD].max() < 1.2e-11


def test_the_largest_normals():
    words = torch.arange(1000)
    assert np.abs(normals(words) - exact(words)).max() < 6e-11
    assert normals(words[:2]).tolist() == pytest.approx([6.337958, -6.337958], abs=1e-5)


def test_normals_are_symmetric():
    words = torch.arange(0, 2**32, 2**15 - 6)
    assert np.array_equal(normals(words | 1), -normals(words & ~1))


def test_the_table_is_what_its_script_makes():
    assert tensors.table().shape == (2048, 4)
    assert np.abs(tensors.table() - normal_table.table()).max() <= 2


def test_float32_is_float64_rounded():
    def drawn(distribution, dtype):
        return philox.drawn(distribution, KEYS, range(64), 999, dtype)

    assert torch.equal(drawn("normal", torch.float32), drawn("normal", torch.float64).float())
    cut = (drawn("uniform", torch.float64) * 2**24).floor() / 2**24
    assert torch.equal(drawn("uniform", torch.float32).double(), cut)


def test_uniforms_stay_below_one(monkeypatch):
    monkeypatch.setattr(tensors, "philox", lambda counter, key: [torch.full_like(counter[0], WORD)] * 4)
    arguments = (KEYS, torch.arange(1), torch.arange(1), torch.from_numpy(tensors.table()))
    assert tensors.numbers("uniform", torch.float32, *arguments).max() == 1 - 2.0**-24
    assert tensors.numbers("uniform", torch.float64, *arguments).max() == 1 - 2.0**-32


@pytest.fixture(scope="module")
def measured():
    return quality.measured(2)  # 8 million draws


def test_moments_and_correlations(measured):
    scores = measured.scores()
    assert len(scores) == 8
    # of some two thousand pairs, the furthest is beyond 5 in one of a thousand tests
    assert all(abs(score) < 5 for score in scores.values()), scores


def test_tails(measured):
    from scipy.stats import binom

    for tail, count in measured.tails.items():
        p = 2 * quality.ndtr(-tail)
        assert binom.cdf(count, measured.n, p) > 1e-4, tail
        assert binom.sf(count - 1, measured.n, p) > 1e-4, tail
    assert measured.furthest > 5


def test_fit(measured):
    assert measured.fit() > 1e-3


@pytest.mark.parametrize(("distribution", "theory"), [("normal", "norm"), ("uniform", "uniform")])
def test_distributions_by_kolmogorov_and_smirnov(distribution, theory):
    drawn = philox.drawn(distribution, KEYS, range(50), 2000, torch.float32)
    assert kstest(drawn.flatten().numpy(), theory).pvalue > 1e-3


def test_seeds_roles_names_and_steps_are_independent():
    declared = {"a": Draw((64,)), "b": Draw((64,))}
    parts = [
        draw_steps(declared, (0, 1, 2), role, range(first, first + 500), torch.float64, "cpu")[name][:, run]
        for role in ("turn0", "turn1")
        for name in declared
        for run in range(3)
        for first in (0, 500)
    ]
    correlations = np.corrcoef(torch.stack(parts).flatten(1).numpy())
    pairs = correlations[np.triu_indices(len(parts), 1)] * np.sqrt(parts[0].numel())
    assert np.abs(pairs).max() < 5
    assert 0.8 < pairs.std() < 1.2
