"""What becomes of a finding beside what is known: the same, a successor, or one more."""

from datetime import UTC, datetime, timedelta

import pytest

from innkeeper.engines.extraction.extractive.consolidation import SPEAKER, verdict
from innkeeper.engines.extraction.extractor import Action, Finding, Known, Verdict

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def judged(text: str, *known: str, age: timedelta = DAY, speaker: str = "") -> Verdict:
    """Of a finding beside records that are so much older, whose ids are their places."""
    records = [Known(str(place), one, NOW - age) for place, one in enumerate(known)]
    metadata = {SPEAKER: {"stringValue": speaker}} if speaker else {}
    return verdict(Finding(text, ["turn"], NOW, metadata), records)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("I live in Lisbon.", "I just moved to Oslo!"),
        ("My apartment is in Lisbon.", "I live in Oslo now."),
        ("I work at Google.", "I work at Microsoft."),
        ("I work at Initech.", "I left Initech and joined Globex."),
        ("My sister Ana works for Initech.", "Ana started a new job at Globex."),
        ("I drive a Volvo.", "I sold the Volvo."),
        ("I'm 31 years old.", "I turned 32 yesterday."),
        ("My favourite colour is teal.", "Actually, my favorite color is red."),
        ("My phone number is 555-0142.", "I have a new number: 555-0177."),
        ("The standup is at 9:15.", "The standup has been moved from 9:15 to 10:30."),
        ("The deadline for Apollo is March 14.", "Apollo was postponed: the new deadline is April 2."),
        ("The budget for Apollo is 12,000 dollars.", "The Apollo budget is 18,000 dollars now."),
        ("Amara leads the Apollo project.", "Bjorn is the new lead of Apollo."),
        ("I like coffee.", "I don't like coffee anymore."),
        ("I prefer a window seat.", "I changed my mind: I prefer an aisle seat now."),
        ("Please answer me in English.", "From now on answer in French instead."),
        ("Please call me Annie.", "Call me Ann from now on, not Annie."),
        ("I use Neovim as my editor.", "I switched from Neovim to Helix."),
        ("我住在杭州。", "我搬到成都了。"),
        ("我住在臺北。", "我搬到高雄了。"),
        ("我在星河科技工作。", "我离开了星河科技,现在在云杉资本工作。"),
        ("周会在上午九点。", "周会改到下午两点了。"),
        ("我喜欢咖啡。", "我不喜欢咖啡了。"),
        ("请叫我小安。", "以后请叫我安姐,别再叫我小安。"),
        ("I live in Lisbon.", "我搬到杭州了。"),
        ("My landlord is Mr Abel.", "My landlord is Mrs Quist now."),
        ("The skipper of the Petrel is Renzo.", "The Petrel is skippered by Ylva now."),
        ("Saskia's tutor is Pernille.", "Saskia has a new tutor called Colette."),
        ("I'm insured with Zurich.", "I dumped Zurich; Axa insures me now."),
        ("Pilates is on Mondays.", "Pilates switched from Mondays to Thursdays."),
        ("城南店的店长是郭强。", "城南店的店长换成何敏了。"),
        ("I wake up at 7:10 now instead of 8:05.", "Starting today I get up at 5:45."),
        ("Waffle is the name of my dog.", "Our dog answers to Pretzel now."),
        ("My friends call me Ace.", "Call me Annie from now on, not Ace."),
        ("I rent a studio in Tallinn.", "I just moved to Oslo!"),
        ("I've been working for Hooli since 2021.", "I handed in my notice at Hooli; now I'm with Acme."),
        ("I park in P4.", "I park in P11 now."),
        ("The Argo is under Ortiz.", "The Argo is under Mora now."),
        ("Vito services the lathe.", "Tariq has taken over the lathe from Vito."),
        ("Petra's sport is fencing.", "Petra changed from fencing to judo."),
    ],
)
def test_a_newer_fact_takes_the_place_of_the_older(older: str, newer: str) -> None:
    unrelated = ("My cat is called Tom.", "I like green tea.")
    assert judged(newer, older, *unrelated) == Verdict(Action.UPDATE, ["0"])


def test_a_change_that_names_nothing_is_of_what_it_replaced() -> None:
    now = Known("1", "I replaced my Peugeot with a Skoda.", NOW - DAY, ["I drive a Peugeot."])
    finding = Finding("My new car is a Subaru.", ["turn"], NOW)
    assert verdict(finding, [now]) == Verdict(Action.UPDATE, ["1"])
    assert verdict(finding, [Known("1", now.text, now.at)]).action is Action.ADD


def test_what_came_late_is_told_from_what_is_new_by_its_time() -> None:
    late = judged("I live in Lisbon.", "I moved to Oslo.", age=-DAY)
    assert late == Verdict(Action.UPDATE, ["0"]), "the later of the two holds, the earlier is its history"
    assert judged("I live in Oslo, by the sea.", "I live in Oslo.", age=-DAY).action is Action.ADD


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I like tea.", "I like coffee."),
        ("I live in Lisbon.", "My brother lives in Oslo."),
        ("Ana works at Initech.", "Marcus works at Globex."),
        ("I visited Iceland.", "I visited Norway."),
        ("I'm allergic to nuts.", "I'm allergic to pollen."),
        ("I ran 5 km on March 3.", "I ran 8 km on March 5."),
        ("The deadline for Apollo is March 14.", "The deadline for Ember is April 2."),
        ("My car is a Volvo.", "My car needs new tyres."),
        ("I sold the tent in 2019.", "I bought a new tent."),
        ("I like dogs.", "Your support means a lot to me."),
        ("I have a sister called Ana.", "I have a brother called Felix."),
        ("I live in Oslo and my dog has three legs.", "I moved to Bergen."),
        ("Ann gave Bob 20 euros.", "Bob gave Ann 20 euros."),
        ("I drink coffee.", "I don't drink coffee on Sundays."),
        ("Saskia's tutor is Pernille.", "Bram switched tutors from Pernille to Colette."),
        ("I used to live in Lyon.", "I used to live in Graz."),
        ("I have a cat called Olive.", "I have a cat called Pippin."),
        ("Gaspard is in command of the Heron.", "Gaspard is in command of the Petrel now."),
        ("江北店的店长是郭强。", "城南店的店长换成何敏了。"),
        ("My piano lesson is scheduled for 9:15.", "My board call is scheduled for 14:00."),
        ("The press needs Lubrol.", "Instead of Lubrol the kiln needs Mobrex now."),
        ("We oil the kiln with Lubrol.", "We oil the mill with Lubrol now."),
        ("The chess club meets in the studio.", "The debate club meets in the hall now, not the studio."),
        ("The east door opens at 8:00.", "The east door closes at 18:00 now."),
        ("Mrs Yates teaches Petra.", "Mrs Yates teaches Rosa now."),
        ("My phone number is 555-0142.", "My office number changed to 555-0177."),
        ("我喜欢爬山。", "我喜欢摄影。"),
        ("我住在上海,喜歡喝普洱茶。", "I have moved to Porto."),  # the tea would be lost with the home
        ("我住在杭州。", "我妹妹住在成都。"),
    ],
)
def test_what_does_not_exclude_the_other_stays_beside_it(one: str, other: str) -> None:
    assert judged(other, one).action is Action.ADD


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ("I live in Lisbon.", "I'm based in Lisbon."),
        ("I live in Lisbon.", "As I said, I live in Lisbon."),
        ("The name of my cat is Tom.", "My cat's name is Tom."),
        ("The deadline for Apollo is March 14.", "Apollo is due on March 14."),
        ("I really enjoy climbing.", "I love climbing."),
        ("I'm allergic to nuts.", "I have an allergy to nuts."),
        ("我在云杉资本工作。", "我就职于云杉资本。"),
        ("我在雲杉資本工作。", "我就职于云杉资本。"),
    ],
)
def test_what_is_known_is_not_kept_again_in_other_words(known: str, said: str) -> None:
    assert judged(said, known) == Verdict(Action.SKIP, ["0"])


def test_who_says_more_is_kept_instead_of_who_says_less() -> None:
    longer = "I live in Lisbon, close to the river."
    assert judged(longer, "I live in Lisbon.") == Verdict(Action.UPDATE, ["0"])
    assert judged("I live in Lisbon.", longer) == Verdict(Action.SKIP, ["0"])


def test_an_assistant_that_recalls_what_is_over_adds_nothing() -> None:
    known = "I moved to Oslo."
    assert judged("You live in Oslo.", known, speaker="ASSISTANT") == Verdict(Action.SKIP, ["0"])
    assert judged("You live in Lisbon.", known, speaker="ASSISTANT").action is Action.SKIP
    assert judged("Oslo has 700,000 inhabitants.", known, speaker="ASSISTANT").action is Action.ADD


def test_an_assistant_that_recalls_what_was_replaced_adds_nothing() -> None:
    present = Known("0", "Granite runs on Firebird now.", NOW - DAY, ["Granite runs on PostgreSQL."])
    finding = Finding("Granite runs on PostgreSQL.", ["turn"], NOW, {SPEAKER: {"stringValue": "ASSISTANT"}})
    assert verdict(finding, [present]).action is Action.SKIP
