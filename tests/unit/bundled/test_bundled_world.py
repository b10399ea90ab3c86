"""The world and its texts: sizes, determinism, how often each fact is said, the tokenizer."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from precept.bundled import World, build_world, documents
from precept.bundled.corpus import MIX, replay
from precept.bundled.listing import OPERATIONS
from precept.bundled.make import DOCUMENTS
from precept.bundled.tokenizer import END, split_words, train_tokenizer, world_words
from precept.bundled.world import read_words


def test_the_world_has_its_size(world: World) -> None:
    assert {kind: len(things) for kind, things in world.things.items()} == {
        "person": 200,
        "animal": 40,
        "object": 63,
        "town": 20,
        "pet": 120,
    }
    # 200 x 7 + 40 x 7 + 63 x 5 + 20 x 4 + 120 x 6
    assert len(world.facts) == 2795
    assert len(world.opposites) >= 40
    assert all(4 <= len(fact.sentences) <= 7 for fact in world.facts)


def test_names_are_unique_over_the_whole_world(world: World) -> None:
    names = Counter(thing.name for things in world.things.values() for thing in things)
    assert [name for name, count in names.items() if count > 1] == []


def test_no_noun_takes_an(world: World) -> None:
    values = [t.name for kind in ("animal", "object") for t in world.things[kind]]
    values += [t.facts[r] for t in world.things["person"] for r in ("job", "animal")]
    assert [value for value in values if value[0] in "aeiou"] == []


def test_pets_belong_to_people_who_keep_such_an_animal(world: World) -> None:
    owners = [pet.facts["owner"] for pet in world.things["pet"]]
    assert len(set(owners)) == len(owners)
    for pet in world.things["pet"]:
        assert world.find("person", pet.facts["owner"]).facts["animal"] == pet.facts["animal"]


def test_friends_are_others(world: World) -> None:
    assert all(person.facts["friend"] != person.name for person in world.things["person"])


def test_equal_seeds_give_equal_worlds_and_texts(world: World) -> None:
    assert build_world(0) == world
    assert build_world(1) != world
    first, again, other = (list(documents(world, seed=seed, count=300)) for seed in (0, 0, 1))
    assert first == again != other


def test_a_longer_corpus_begins_with_the_shorter(world: World) -> None:
    short = list(documents(world, seed=0, count=50))
    assert list(islice(documents(world, seed=0, count=5000), 50)) == short


def test_a_sentence_of_the_world_says_its_fact(world: World) -> None:
    for fact in world.facts:
        for sentence in fact.sentences:
            assert fact.thing.name.lower() in sentence.lower()
            assert fact.value in sentence


def test_each_fact_is_said_about_150_times_in_the_whole_corpus(world: World) -> None:
    share = 10  # a tenth of the corpus: 15 mentions of each fact
    of = {sentence: number for number, fact in enumerate(world.facts) for sentence in fact.sentences}
    said: Counter[int] = Counter()
    for text in documents(world, seed=0, count=DOCUMENTS // share):
        said.update(of[part] for part in (f"{part}." for part in text.rstrip(".").split(". ")) if part in of)
    mentions = [said[number] for number in range(len(world.facts))]
    assert 120 <= share * sum(mentions) / len(mentions) <= 220
    assert min(mentions) * share >= 80


def test_the_mix_has_a_hundred_parts_with_15_to_20_of_echoes() -> None:
    assert sum(MIX.values()) == 100
    assert 15 <= MIX["echoes"] <= 20


def test_texts_give_no_instructions_and_put_no_questions(world: World) -> None:
    asks = {ask.capitalize() for ask in read_words("wordings")["asks"]}
    for text in documents(world, seed=0, count=2000):
        assert "?" not in text and ":\n" not in text
        starts = {sentence.split(" ")[0] for sentence in text.split(". ")}
        assert not starts & (asks | {"Please", "Kindly", "Answer", "Rewrite"})


def test_pages_are_a_little_over_the_wanted_length_and_one_document_in_forty_is_a_chapter(world: World) -> None:
    texts = list(documents(world, seed=0, count=1000))
    pages = [len(page) for text in texts for page in text.split("\n\n")]
    assert min(pages) >= 500
    assert max(pages) < 1000
    chapters = [text.count("\n\n") + 1 for text in texts if "\n\n" in text]
    assert len(chapters) == 25
    assert set(chapters) <= set(range(4, 13))


def test_replay_is_made_of_single_passages_and_repeats(world: World) -> None:
    texts = list(replay(world, seed=0, count=300))
    assert texts == list(replay(world, seed=0, count=300))
    assert len(set(texts)) > 250
    assert max(map(len, texts)) < 500


def test_operations_on_a_list() -> None:
    words = ["pear", "plum", "fig", "melon"]
    assert {name: apply(words) for name, apply in OPERATIONS.items()} == {
        "first": "pear",
        "second": "plum",
        "third": "fig",
        "last": "melon",
        "reverse": "melon, fig, plum, pear",
        "drop_first": "plum, fig, melon",
        "drop_last": "pear, plum, fig",
        "count": "4",
    }


def test_the_tokenizer_keeps_words_whole_and_gives_any_text_back(world: World) -> None:
    tokenizer = train_tokenizer(documents(world, seed=0, count=2000), words=world_words(world))
    assert tokenizer.get_vocab_size() <= 4096
    assert len(world_words(world)) > 900
    assert split_words(tokenizer, world) == []
    for text in ("Zoë paid 3 €\n\n\tand\x00 left \U0001f600", " ", "int main(){}", "Anna is 50."):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert len(tokenizer.encode(END).ids) == 1
