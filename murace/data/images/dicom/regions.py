"""The body part of a DICOM file: codes and free text (AnatomicRegionSequence, BodyPartExamined) to one group's name.

A name comes from the tables below or from the caller's own groups, never from the file: what is written into the field
by hand may be anything.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from murace.data.images.dicom.radiograph import Tags


@dataclass(frozen=True)
class Stated:
    """The body part `name` in lower case, and the DICOM attribute that states it."""

    name: str
    source: str


# Name -> its synonyms, MURA's name where MURA has one: the standard's (PS3.16 CID 4, 4009, 4031, annex L) and those in
# use. Words that cover several names (extremity, arm, limb, joint) are left out: they name none.
_WORDS = {
    "elbow": "elbow; olecranon; ellbogen",
    "finger": "finger; fingers; thumb; thumbs; digit of hand; finger of hand; hand finger; phalanx of hand; daumen",
    "forearm": "forearm; fore arm; lower arm; radius; ulna; radius ulna; unterarm",
    "hand": "hand; hands; metacarpus; metacarpal; metacarpals",
    "humerus": "humerus; upper arm; upperarm; oberarm",
    "shoulder": "shoulder; shoulders; clavicle; collar bone; scapula; acromioclavicular; ac; acjoint; glenohumeral; "
    "schulter",
    "wrist": "wrist; wrists; carpus; carpal; scaphoid; navicular of wrist; handgelenk",
    "knee": "knee; knees; patella; knie",
    "foot": "foot; feet; forefoot; midfoot; hindfoot; metatarsus; metatarsal; tarsal; tarsus; fuss",
    "heel": "heel; calcaneus; os calcis",
    "toe": "toe; toes; hallux; great toe; big toe",
    "ankle": "ankle; ankles",
    "hip": "hip; hips; huefte; hufte",
    "leg": "leg; lower leg; tibia; fibula; tibia fibula; tib fib; tibfib; calf",
    "thigh": "thigh; femur; upper leg",
    "chest": "chest; thorax; lung; lungs",
    "rib": "rib; ribs",
    "sternum": "sternum; sternoclavicular",
    "skull": "skull; head; cranium",
    "face": "face; facial; facial bones; nasal; nasal bone; orbit; zygoma; maxilla; paranasal sinus; paranasal sinuses",
    "jaw": "jaw; mandible; temporomandibular; tmj",
    "neck": "neck",
    "spine": "spine; cspine; tspine; lspine; c spine; t spine; l spine; cervical spine; thoracic spine; lumbar spine; "
    "lumbo sacral spine; lumbosacral spine; thoraco lumbar spine; cervico thoracic spine; whole spine; "
    "vertebral column; sacrum; coccyx; sacro coccygeal spine; backbone",
    "pelvis": "pelvis; sacroiliac; ilium",
    "abdomen": "abdomen; kub",
    "breast": "breast",
    "teeth": "tooth; teeth",
}
_NAMES = {phrase: name for name, phrases in _WORDS.items() for phrase in phrases.split("; ")}
_LONGEST = max(len(phrase.split()) for phrase in _NAMES)
_PARTS = re.compile(r"[^a-z0-9]+")


def stated_region(tags: Tags, known: Collection[str] = ()) -> Stated | None:
    """The body part that a file's tags state; None where they state none, or several at once.

    AnatomicRegionSequence comes before BodyPartExamined. A text that is the name of one of the `known` groups means
    that group, whatever the name.
    """
    for source, text in tags.regions:
        if name := _name(text, known):
            return Stated(name, source)
    return None


def _name(text: str, known: Collection[str]) -> str | None:
    """The one name in a text; vague, unknown and ambiguous texts have none. Other words (left, joint) say nothing."""
    words = [word for word in _PARTS.split(text.lower()) if word]
    whole = {"_".join(words), "-".join(words), "".join(words)}
    if own := sorted(whole & set(known)):
        return own[0]
    found, position = set(), 0
    while position < len(words):
        length = next(
            (count for count in range(_LONGEST, 0, -1) if " ".join(words[position : position + count]) in _NAMES), 0
        )
        if length:
            found.add(_NAMES[" ".join(words[position : position + length])])
        position += max(length, 1)
    return found.pop() if len(found) == 1 else None
