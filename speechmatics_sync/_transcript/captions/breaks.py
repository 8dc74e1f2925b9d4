"""Where a caption or a line of it may end, by language.

The best place is the end of a sentence, then another punctuation mark, then in front of a
conjunction or a preposition. An article stays with what follows it. In a language without a table
here, only marks and pauses tell.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

__all__ = ["NEVER", "Kind", "break_cost", "kind_of", "mark_cost"]

NEVER = 1_000_000.0
"""What a break costs that is made only where the words would not fit in any other way."""

_SENTENCE = 0.0
_CLAUSE = 1.5
_COMMA = 2.5
_BEFORE_CONJUNCTION = 5.0
_BEFORE_PREPOSITION = 6.0
_PLAIN = 9.0
_AFTER_ADJECTIVE = 13.0
_AFTER_LINKING_WORD = 16.0
_WITHIN_ENTITY = 25.0

_PAUSE = 5.0
"""How much a pause of a second takes off."""

_CLOSING = "\"'”’»›)]}」』）】”"
_SENTENCE_MARKS = ".?!…。？！．؟۔।॥"
_CLAUSE_MARKS = ";:—–；：؛"
_COMMA_MARKS = ",、，،"


class Kind(NamedTuple):
    """What a word is good for in its language.

    Args:
        article: It stays with the word after it.
        linking: A conjunction or preposition: better at the beginning of a line than at its end.
        cost: Of a break in front of it.
    """

    article: bool = False
    linking: bool = False
    cost: float = _PLAIN


_OTHER = Kind()
_ARTICLE = Kind(article=True)
_CONJUNCTION = Kind(linking=True, cost=_BEFORE_CONJUNCTION)
_PREPOSITION = Kind(linking=True, cost=_BEFORE_PREPOSITION)
_CONTRACTION = Kind(article=True, linking=True, cost=_BEFORE_PREPOSITION)


class _Words(NamedTuple):
    """Words of a language, of each kind.

    Args:
        articles: And titles, which stay with the name after them.
        contractions: Prepositions that hold an article.
    """

    articles: str
    conjunctions: str
    prepositions: str
    contractions: str = ""


_WORDS = {
    "en": _Words(
        articles="a an the mr mrs ms dr",
        conjunctions="""
            and or but nor so yet because although though while whereas when where if unless
            until since that which who whom whose than whether as after before
        """,
        prepositions="""
            about above across against along among around at behind below beneath beside between
            beyond by despite down during except for from in inside into like near of off on
            onto out outside over past through throughout to toward towards under up upon via
            with within without
        """,
    ),
    "de": _Words(
        articles="der die das den dem des ein eine einen einem einer eines",
        contractions="am ans aufs beim durchs fürs im ins ums vom zum zur",
        conjunctions="""
            und oder aber sondern denn weil obwohl während wenn als ob dass daß damit sodass
            falls bevor nachdem bis seit wie wo
        """,
        prepositions="""
            ab an auf aus außer bei durch für gegen gegenüber hinter in mit nach neben ohne über
            um unter von vor wegen zu zwischen trotz statt
        """,
    ),
    "fr": _Words(
        articles="le la les l l' l’ un une des du",
        contractions="au aux",
        conjunctions="""
            et ou mais donc or ni car que qu' qu’ qui quand lorsque puisque si comme parce dont
            où
        """,
        prepositions="""
            à de d' d’ dans en par pour sans sous sur vers avec chez contre depuis derrière
            devant entre malgré pendant selon
        """,
    ),
    "es": _Words(
        articles="el la los las un una unos unas lo",
        contractions="al del",
        conjunctions="""
            y e o u pero sino ni que porque aunque cuando donde si como mientras pues quien cual
        """,
        prepositions="""
            a ante bajo con contra de desde durante en entre hacia hasta para por según sin
            sobre tras
        """,
    ),
    "it": _Words(
        articles="il lo la i gli le l' l’ un uno una un' un’",
        contractions="""
            al allo alla ai agli alle all' all’ dal dallo dalla dai dagli dalle dall' dall’ del
            dello della dei degli delle dell' dell’ nel nello nella nei negli nelle nell' nell’
            sul sullo sulla sui sugli sulle sull' sull’ col coi
        """,
        conjunctions="""
            e ed o oppure ma però né che perché poiché quando dove se come mentre anche cui
        """,
        prepositions="""
            a ad con contro da di dopo durante fra in per prima senza sopra sotto su tra verso
        """,
    ),
    "pt": _Words(
        articles="o a os as um uma uns umas",
        contractions="""
            ao aos à às do da dos das no na nos nas num numa nuns numas pelo pela pelos pelas
            dum duma
        """,
        conjunctions="""
            e ou mas porém nem que porque embora quando onde se como enquanto pois quem qual
        """,
        prepositions="""
            ante após até com contra de desde durante em entre para perante por sem sob sobre
            trás
        """,
    ),
    "nl": _Words(
        articles="de het een t",
        conjunctions="""
            en of maar want dus omdat hoewel terwijl wanneer als dat die wat zodat indien
            voordat nadat totdat toen
        """,
        prepositions="""
            aan achter bij binnen boven buiten door in langs met na naar naast om onder op over
            per sinds te tegen tijdens tot tussen uit van vanaf via volgens voor zonder
        """,
    ),
}


def _table(words: _Words) -> dict[str, Kind]:
    kinds = {
        **dict.fromkeys(words.prepositions.split(), _PREPOSITION),
        **dict.fromkeys(words.conjunctions.split(), _CONJUNCTION),
    }
    kinds.update(dict.fromkeys(words.contractions.split(), _CONTRACTION))
    kinds.update(dict.fromkeys(words.articles.split(), _ARTICLE))
    return kinds


_TABLES = {language: _table(words) for language, words in _WORDS.items()}
_NO_TABLE: dict[str, Kind] = {}


def kind_of(word: str, language: Optional[str]) -> Kind:
    """What a word, without the marks around it, is in a language (an ISO code, or None)."""
    table = _TABLES.get((language or "").partition("-")[0], _NO_TABLE)
    return table.get(word.lower(), _OTHER) if table else _OTHER


def mark_cost(text: str, *, ends_sentence: bool, has_mark: bool) -> Optional[float]:
    """What a break after a text costs for the mark at its end; None if it ends with none.

    Args:
        text: A word with its marks.
        ends_sentence: The server said that a sentence ends here.
        has_mark: The server sent a mark after the word. If not, a full stop may be part of an
            abbreviation.
    """
    if ends_sentence:
        return _SENTENCE
    stripped = text.rstrip(_CLOSING)
    last = stripped[-1:]
    if not last:
        return None
    if last in _SENTENCE_MARKS:
        is_abbreviation = last == "." and (len(stripped) < 5 or "." in stripped[:-1])
        return _SENTENCE if has_mark or not is_abbreviation else None
    if last in _CLAUSE_MARKS:
        return _CLAUSE
    return _COMMA if last in _COMMA_MARKS else None


def break_cost(
    before_that: Kind,
    before: Kind,
    after: Kind,
    *,
    mark: Optional[float],
    pause: float,
    within_entity: bool,
) -> float:
    """What a break between two words of one speaker costs: 0 at the end of a sentence.

    Args:
        before_that: What the last word but one before it is.
        before: What the word before it is.
        after: What the word after it is.
        mark: What a mark between them makes of it; see `mark_cost`.
        pause: Seconds between the two.
        within_entity: Both are part of one entity, such as a date.
    """
    if mark is not None:
        cost = mark
    elif before.article:
        return NEVER
    elif within_entity:
        return _WITHIN_ENTITY
    else:
        cost = _AFTER_LINKING_WORD if before.linking else after.cost
        if before_that.article and cost == _PLAIN:
            cost = _AFTER_ADJECTIVE  # "the old | house"
    return max(0.0, cost - _PAUSE * min(max(pause, 0.0), 1.0))
