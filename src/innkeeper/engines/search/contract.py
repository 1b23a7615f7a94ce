"""What every driver of `Search` does, as tests.

To run them on a driver of your own, subclass `SearchContract` in a pytest module (with pytest-asyncio in auto
mode) and give it a fixture `search`, empty, closed at the end.
"""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from innkeeper.engines.search.ranking import rank
from innkeeper.engines.search.search import Candidates, Passage, Scope, Search

# How far apart the cosines of one query lie.
STEP = 0.12
_EVERYTHING = Scope("/")


def direction(*parts: float) -> NDArray[np.float32]:
    vector = np.array(parts, np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def ids(candidates: Candidates) -> set[int]:
    return set(candidates.ids.tolist())


async def found(search: Search, query: str, scope: Scope = _EVERYTHING, shelf: str = "shelf") -> set[int]:
    """The ids of those that share a word with the query."""
    candidates = await search.candidates(shelf, scope, query, None, 10)
    return set(candidates.ids[candidates.words > 0].tolist())


class SearchContract:
    async def test_words_find_their_other_forms_and_common_words_find_nothing(self, search: Search) -> None:
        await search.put(
            "shelf",
            [Passage(1, "/", "Ann adopted two dogs."), Passage(2, "/", "What did he do with the paint?")],
        )
        assert await found(search, "What did she do about adopting a dog?") == {1}
        assert await found(search, "PAINTED") == {2}
        assert await found(search, "zebra") == set()
        assert await found(search, "?!") == set()
        assert await found(search, '" OR text : * NEAR(') == set()

    async def test_chinese_is_found_by_parts_of_its_words(self, search: Search) -> None:
        passages = [
            Passage(1, "/", "我每天早上喝绿茶"),
            Passage(2, "/", "她在北京大学学习经济"),
            Passage(3, "/", "家里养了一只猫"),
        ]
        await search.put("shelf", passages)
        assert await found(search, "绿茶好喝吗") == {1}
        assert await found(search, "谁在北京大学读书?") == {2}
        assert await found(search, "猫") == {3}

    async def test_chinese_is_found_by_kindred_words(self, search: Search) -> None:
        told = [
            "弟弟是消防员",
            "奶奶每天吃降压药",
            "我们去年在三亚拍的婚纱照",
            "家里养了一只猫",
            "女儿在学芭蕾",
        ]
        asked = ["谁的职业是救火", "长辈在服用什么药物", "结婚时的照片", "有什么宠物", "小朋友会跳什么舞蹈"]
        await search.put("shelf", [Passage(place, "/", text) for place, text in enumerate(told)])
        for place, query in enumerate(asked):
            candidates = await search.candidates("shelf", _EVERYTHING, query, None, 10)
            assert rank(candidates, query, 1, STEP)[0].id == place, query

    async def test_a_word_is_found_however_it_was_typed(self, search: Search) -> None:
        passages = [Passage(1, "/", "Le café est à Genève."), Passage(2, "/", "会议在２０２４年 ＡＢＣ公司")]
        await search.put("shelf", passages)
        assert await found(search, "CAFE") == {1}
        assert await found(search, "Genève") == {1}
        assert await found(search, "abc 2024") == {2}

    async def test_what_stands_before_and_when_it_was_counts_less_than_the_words_themselves(
        self, search: Search
    ) -> None:
        passages = [
            Passage(1, "/", "Yes, last summer.", before="Did you visit Norway?"),
            Passage(2, "/", "Norway was cold."),
            Passage(3, "/", "We met again.", happened="8 May 2023"),
        ]
        await search.put("shelf", passages)
        candidates = await search.candidates("shelf", _EVERYTHING, "Norway", None, 10)
        scores = dict(zip(candidates.ids.tolist(), candidates.words.tolist(), strict=True))
        assert scores[2] > scores[1] > 0
        assert await found(search, "whom did I meet in May") == {3}

    async def test_meaning_is_the_cosine_of_the_nearest(self, search: Search) -> None:
        passages = [
            Passage(1, "/", "one", vector=direction(1, 0)),
            Passage(2, "/", "two", vector=direction(1, 1)),
            Passage(3, "/", "three", vector=direction(-1, 0)),
            Passage(4, "/", "four"),
        ]
        await search.put("shelf", passages)
        candidates = await search.candidates("shelf", _EVERYTHING, "", direction(1, 0), 2)
        meaning = dict(zip(candidates.ids.tolist(), candidates.meaning.tolist(), strict=True))
        assert meaning == {1: pytest.approx(1, abs=0.001), 2: pytest.approx(0.7071, abs=0.001)}

    async def test_vectors_are_compared_with_those_of_their_length(self, search: Search) -> None:
        passages = [
            Passage(1, "/", "one", vector=direction(1, 0)),
            Passage(2, "/", "two", vector=direction(1, 0, 0)),
            Passage(3, "/", "three"),
            Passage(4, "/", "four", vector=direction(1, 1, 0)),
        ]
        await search.put("shelf", passages)
        assert ids(await search.candidates("shelf", _EVERYTHING, "", direction(1, 0), 9)) == {1}
        await search.put("shelf", [Passage(1, "/", "one", vector=direction(0, 1, 0))])
        candidates = await search.candidates("shelf", _EVERYTHING, "", direction(1, 0, 0), 9)
        meaning = dict(zip(candidates.ids.tolist(), candidates.meaning.tolist(), strict=True))
        assert meaning == {2: pytest.approx(1, abs=0.001), 4: pytest.approx(0.7071, abs=0.001)}
        assert ids(await search.candidates("shelf", _EVERYTHING, "", direction(1, 0), 9)) == set()

    async def test_vectors_of_another_model_can_follow(self, search: Search) -> None:
        await search.put("shelf", [Passage(1, "/", "tea", vector=direction(1, 0))])
        await search.put("other", [Passage(1, "/", "tea", vector=direction(1, 0))])
        await search.forget_vectors("shelf")
        assert await found(search, "tea") == {1}
        assert ids(await search.candidates("shelf", _EVERYTHING, "", direction(1, 0, 0), 2)) == set()
        await search.put("shelf", [Passage(2, "/", "milk", vector=direction(1, 0, 0))])
        assert ids(await search.candidates("shelf", _EVERYTHING, "", direction(1, 0, 0), 2)) == {2}
        assert ids(await search.candidates("other", _EVERYTHING, "", direction(1, 0), 2)) == {1}

    async def test_neighbours_in_the_same_thread_come_along_and_gain(self, search: Search) -> None:
        words = ["Hello.", "Which instrument?", "The cello, I think.", "Nice.", "Bye."]
        passages = [Passage(place, "/", text, "monday", place) for place, text in enumerate(words, start=1)]
        await search.put("shelf", [*passages, Passage(9, "/", "Which cello?", "tuesday", 3)])
        candidates = await search.candidates("shelf", _EVERYTHING, "instrument", None, 10)
        assert ids(candidates) == {1, 2, 3, 4}
        best = rank(candidates, "instrument", 4, STEP)
        assert [one.id for one in best] == [2, 1, 3, 4]
        assert best[1].words == 0 < best[1].neighbours
        assert best[0].score == pytest.approx(best[0].words + best[0].thread)

    async def test_a_speaker_who_is_named_is_asked_for(self, search: Search) -> None:
        passages = [
            Passage(1, "/", "I like my new piano.", speaker="Jon"),
            Passage(2, "/", "I like my new piano.", speaker="Gina Lee", role="USER"),
        ]
        await search.put("shelf", passages)
        query = "What is new for Gina, a piano?"
        candidates = await search.candidates("shelf", _EVERYTHING, query, None, 10)
        assert [one.id for one in rank(candidates, query, 10, STEP)] == [2, 1]
        assert {candidates.names[role] for role in candidates.roles} == {"", "USER"}

    async def test_a_person_is_not_drowned_by_long_answers(self, search: Search) -> None:
        advice = "Here is a guide to marathon training: run marathon distances slowly. " * 2
        for answer, best in ((advice * 4, 2), ("A marathon, great, marathon!", 1)):
            passages = [
                Passage(1, "/", answer, role="ASSISTANT", vector=direction(1, 0.1)),
                Passage(2, "/", "I ran a marathon in spring.", role="USER", vector=direction(1, 0.2)),
            ]
            await search.put("shelf", passages)
            candidates = await search.candidates("shelf", _EVERYTHING, "marathon", direction(1, 0), 10)
            assert rank(candidates, "marathon", 1, STEP)[0].id == best, answer

    async def test_a_scope_shows_itself_or_all_below_and_nothing_else(self, search: Search) -> None:
        scopes = ["/a/", "/a/b/", "/ab/", "/a/b/c/", "/A/"]
        await search.put(
            "shelf",
            [Passage(n, path, "tea", vector=direction(1, n)) for n, path in enumerate(scopes, start=1)],
        )
        for scope, expected in {
            Scope("/a/"): {1, 2, 4},
            Scope("/a/", below=False): {1},
            Scope("/a/b/"): {2, 4},
            Scope("/ab/"): {3},
            Scope("/x/"): set(),
            Scope("/"): {1, 2, 3, 4, 5},
        }.items():
            assert await found(search, "tea", scope) == expected, scope
            by_meaning = await search.candidates("shelf", scope, "", direction(1, 1), 10)
            assert ids(by_meaning) == expected, scope

    async def test_what_is_put_again_is_replaced_and_what_is_removed_is_gone(self, search: Search) -> None:
        await search.put(
            "shelf", [Passage(1, "/a/", "tea", vector=direction(1, 0)), Passage(2, "/a/", "tea")]
        )
        assert await found(search, "tea", Scope("/a/")) == {1, 2}
        await search.put("shelf", [Passage(1, "/b/", "coffee", vector=direction(0, 1))])
        assert await found(search, "tea", Scope("/a/")) == {2}
        assert await found(search, "coffee", Scope("/b/")) == {1}
        assert ids(await search.candidates("shelf", Scope("/a/"), "", direction(0, 1), 10)) == set()
        await search.remove("shelf", [2, 3])
        assert await found(search, "tea") == set()

    async def test_shelves_are_apart_and_one_dropped_is_empty(self, search: Search) -> None:
        await search.put("shelf", [Passage(1, "/", "tea")])
        await search.put("other", [Passage(1, "/", "tea tea"), Passage(2, "/", "tea house")])
        assert await found(search, "house") == set()
        alone = await search.candidates("shelf", _EVERYTHING, "tea", None, 10)
        await search.drop("other")
        assert await found(search, "tea", shelf="other") == set()
        after = await search.candidates("shelf", _EVERYTHING, "tea", None, 10)
        assert alone.words.tolist() == after.words.tolist()

    async def test_many_at_once(self, search: Search) -> None:
        async def one(number: int) -> None:
            await search.put("shelf", [Passage(number, f"/{number % 3}/", f"word{number} shared")])
            assert await found(search, f"word{number}", Scope(f"/{number % 3}/")) == {number}

        await asyncio.gather(*(one(number) for number in range(1, 31)))
        candidates = await search.candidates("shelf", _EVERYTHING, "shared", None, 100)
        assert ids(candidates) == set(range(1, 31))
