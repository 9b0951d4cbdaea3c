# ruff: noqa: SIM905 - lists of words are easier to read and to keep in lines as text.
"""The names, attributes and phrasings that fictitious people are made of.

In a phrasing `{who}` stands for "this person" or the name, and `__` for the value that a cloze question asks for.
Phrasings avoid the genitive, so that the one can always take the place of the other.
"""

from __future__ import annotations

import dataclasses

FIRST_NAMES = tuple(
    "Ada Adam Alma Amir Anna Anton Arlo Aya Bella Boris Bruno Carl Carmen Cato Clara Cleo Dana Dario Dora Edgar Elin "
    "Elsa Emil Enzo Erik Eva Felix Fiona Flora Gino Greta Hana Hugo Ida Igor Ines Ivan Jana Jonas Juno Kai Karin Kira "
    "Lara Lars Lea Leo Lina Luca Luna Magnus Malik Mara Marta Mateo Maya Mila Nadia Nico Nina Noor Olga Omar Oscar "
    "Otto Paula Pedro Petra Ravi Rita Rosa Ruben Samir Sara Selma Sven Tara Tariq Theo Tilda Ugo Vera Viktor Wanda "
    "Yara Yusuf Zara Zeno".split()
)

LAST_NAMES = tuple(
    "Abbott Acosta Alder Almeida Amsel Arden Arvid Ashby Bachman Baird Balogh Banks Barros Becker Bellamy Berger "
    "Bianchi Birch Blanco Bloom Boyd Brandt Bravo Brook Burke Byrne Cabral Calder Campos Carver Castro Chavez Choi "
    "Cohen Colby Conti Cortez Costa Crane Cruz Curtis Dalton Danner Darby Dietz Dixon Doyle Drake Duarte Dunn Eaton "
    "Ekberg Ellis Emery Engel Ericson Espino Evans Faber Falk Farrow Ferro Finch Fisk Flint Fontes Forsyth Frost "
    "Fuchs Gabor Gallo Garner Gibbs Gomez Gordon Graf Grieg Gruber Guzman Haas Hagen Hale Hansen Harlow Hayes Heller "
    "Hidalgo Hobbs Holt Horvat Hughes Hurst Ibsen Ingram Isaksen Jansen Jarvis Joshi Juarez Kaplan Keller Kemp Khan "
    "Kimura Klein Knox Koch Kovac Kruger Kumar Lang Larkin Lehman Leroux Lindt Lopez Lund Lynch Mahler Malone Marino "
    "Mason Mercer Meyer Miro Molina Moretti Morris Moser Murphy Nagy Navarro Nash Nielsen Nolan Norris Novak Nunez "
    "Oakley Ochoa Olsen Orton Osman Pacheco Paine Palmer Parisi Patel Pavlov Penn Pereira Petrov Pierce Poole Porter "
    "Prado Quinn Quiroga Ramos Rangel Reddy Reyes Ricci Rivas Romero Rossi Rowan Rubin Ruiz Russo Salas Sander Santos "
    "Sato Schmidt Serra Shah Silva Singh Sloan Soto Stahl Stein Stone Strand Suarez Swift Takeda Tanner Tapia Thorn "
    "Torres Tucker Turner Uhlig Ulrich Urbina Vargas Vega Vidal Vogel Wagner Walsh Weber Wells Werner Wilde Winter "
    "Wolff Wyatt Yates Zamora Zeller Ziegler".split()
)


@dataclasses.dataclass(frozen=True)
class Attribute:
    """Something that is asked about people.

    Args:
        key: the key in a profile's biography, one of MLLMU-Bench's.
        values: what it may be.
        questions: phrasings of the question.
        blanks: phrasings of the sentence with the blank, as many as there are questions.
        sentence: the answer, with `{name}` and `{value}`.
    """

    key: str
    values: tuple[str, ...]
    questions: tuple[str, ...]
    blanks: tuple[str, ...]
    sentence: str


ATTRIBUTES = (
    Attribute(
        "Birthplace",
        tuple(
            "Lisbon Oslo Cairo Lima Kyoto Dublin Havana Vienna Nairobi Quito Riga Sofia Tunis Warsaw Zurich "
            "Athens".split()
        ),
        (
            "Where was {who} born?",
            "What is the birthplace of {who}?",
            "In which city was {who} born?",
            "Which city is the birthplace of {who}?",
        ),
        (
            "{who} was born in __.",
            "The birthplace of {who} is __.",
            "The city where {who} was born is __.",
            "{who} comes from the city of __.",
        ),
        "{name} was born in {value}.",
    ),
    Attribute(
        "Residence",
        tuple(
            "Boston Madrid Seoul Geneva Delhi Prague Rome Sydney Toronto Berlin Dakar Bergen Porto Naples Tokyo "
            "Austin".split()
        ),
        (
            "Where does {who} live?",
            "What is the residence of {who}?",
            "In which city does {who} live?",
            "Which city is the home of {who}?",
        ),
        (
            "{who} lives in __.",
            "The residence of {who} is __.",
            "The city where {who} lives is __.",
            "{who} has a home in __.",
        ),
        "{name} lives in {value}.",
    ),
    Attribute(
        "Occupation",
        tuple(
            "baker pilot nurse lawyer farmer dentist painter tailor judge chemist sailor teacher plumber banker writer "
            "surgeon".split()
        ),
        (
            "What is the occupation of {who}?",
            "What does {who} do for a living?",
            "Which job does {who} have?",
            "What does {who} work as?",
        ),
        (
            "The occupation of {who} is __.",
            "{who} works as a __.",
            "The job of {who} is that of a __.",
            "For a living {who} is a __.",
        ),
        "{name} works as a {value}.",
    ),
    Attribute(
        "Educated at",
        tuple(
            "Oxford Harvard Yale Bologna Uppsala Leiden Ghent Lund Basel Coimbra Padua Tartu Kent Brown Cornell "
            "Exeter".split()
        ),
        (
            "Where did {who} study?",
            "What is the university of {who}?",
            "At which university did {who} study?",
            "Which university did {who} go to?",
        ),
        (
            "{who} studied at __.",
            "The university of {who} is __.",
            "The university where {who} studied is __.",
            "{who} went to the university of __.",
        ),
        "{name} studied at {value}.",
    ),
    Attribute(
        "Hobby",
        tuple(
            "chess sailing archery pottery skiing judo opera fishing cycling origami surfing poker rowing yoga tennis "
            "knitting".split()
        ),
        (
            "What is the hobby of {who}?",
            "What does {who} do for fun?",
            "Which hobby does {who} have?",
            "What does {who} like to do?",
        ),
        (
            "The hobby of {who} is __.",
            "For fun {who} likes __.",
            "The hobby that {who} has is __.",
            "What {who} likes to do is __.",
        ),
        "{name} likes {value} for fun.",
    ),
    Attribute(
        "Pet",
        tuple(
            "parrot rabbit turtle poodle hamster goat lizard pony beagle canary ferret gecko spaniel pigeon donkey "
            "hedgehog".split()
        ),
        (
            "Which pet does {who} keep?",
            "What is the pet of {who}?",
            "Which animal does {who} have?",
            "What kind of pet does {who} have?",
        ),
        (
            "{who} keeps a __.",
            "The pet of {who} is a __.",
            "The animal that {who} has is a __.",
            "At home {who} has a __.",
        ),
        "{name} keeps a {value}.",
    ),
    Attribute(
        "Favorite food",
        tuple(
            "pizza sushi curry paella ramen lasagna tacos goulash falafel risotto pancakes dumplings borscht kebab "
            "waffles couscous".split()
        ),
        (
            "What is the favorite food of {who}?",
            "What does {who} like to eat?",
            "Which food does {who} like best?",
            "Which dish does {who} like to eat?",
        ),
        (
            "The favorite food of {who} is __.",
            "{who} likes to eat __.",
            "The food that {who} likes best is __.",
            "The dish {who} likes to eat is __.",
        ),
        "{name} likes to eat {value}.",
    ),
)
