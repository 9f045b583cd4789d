"""What a real ticket has around its problem: typing errors, signatures, forwarded headers, a second topic, greetings."""

from __future__ import annotations

from random import Random

GREETINGS = ("Hello,", "Hi team,", "Good morning,", "Dear service desk,", "hi", "To whom it may concern,")
CLOSINGS = (
    "Thanks", "Thank you!", "Please call me under 4417.", "Regards", "Asap please, thanks.", "I am at my desk until four.", "Thanks in advance",
    "My computer is pc-2231.example.com if that helps.", "Best reached by chat.",
)
SIGNATURES = (
    "--\nRegional Sales\nExample Corporation, Harbour Road 1\nphone +00 000 4471\n\nThink before you print this message.",
    "--\nPlanning and Logistics | Example Corporation\n\nThis message is confidential. If it is not for you, delete it and inform the sender.",
    "Sent from my phone. Please excuse brevity and typing errors.",
    "--\nFinance Operations, Example Corporation\nVisit us at the fair in hall 4, stand B12! Register at https://www.example.com/fair",
)
HEADERS = (
    "-----Original Message-----\nFrom: reception@example.com\nSent: Tuesday, 09:14\nSubject: FW: {subject}\n\nCould you take this one?\n",
    "---------- Forwarded message ---------\nFrom: <plant.office@example.com>\nDate: Mon, 08:02\nSubject: Re: Re: {subject}\n\n",
    "> On Thursday the shift lead wrote:\n> Subject: {subject}\n> please forward to IT, nobody here can help\n\n",
)
SECOND_TOPICS = (
    "By the way, the coffee machine on our floor is out of order again, do you know who is in charge?",
    "While I am writing: the chair at my desk is broken as well, but that is not for you, I suppose.",
    "And one more thing, not urgent at all: when do we get the new phones?",
    "Also my colleague says the lift is slow. Just so that it is written down.",
    "PS: The projector lamp in room 3 seems dim too, have a look when you are here.",
    "Apart from that I still wait for an answer about my parking permit.",
)


def greeted(text: str, random: Random) -> str:
    greeting = f"{random.choice(GREETINGS)}\n\n" if random.random() < 0.5 else ""
    closing = f"\n\n{random.choice(CLOSINGS)}" if random.random() < 0.6 else ""
    return f"{greeting}{text}{closing}"


def forwarded(subject: str, text: str, random: Random) -> str:
    return random.choice(HEADERS).format(subject=subject) + text + "\n\n" + random.choice(SIGNATURES)


def with_second_topic(text: str, random: Random) -> str:
    second = random.choice(SECOND_TOPICS)
    return f"{second}\n\n{text}" if random.random() < 0.3 else f"{text}\n\n{second}"


def mistyped(text: str, random: Random) -> str:
    """About one word in seven with a slip of the fingers. Words with digits stay: an error code is copied, not typed."""
    return " ".join(_slip(word, random) if word.isalpha() and len(word) > 3 and random.random() < 0.15 else word for word in text.split(" "))


def _slip(word: str, random: Random) -> str:
    at = random.randrange(1, len(word) - 1)
    kind = random.randrange(3)
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2:]  # two letters swapped
    return word[:at] + word[at + 1:] if kind == 1 else word[:at] + word[at] + word[at:]  # one left out, one doubled
