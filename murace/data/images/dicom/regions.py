"""The body part of a DICOM file: codes and free text (AnatomicRegionSequence, BodyPartExamined) to one group's name.

A name comes from the tables below or from the caller's own groups, never from the file: what is written into the field
by hand may be anything.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

from murace.data.images.dicom.radiograph import Tags


@dataclass(frozen=True)
class Stated:
    """The body part `name` in lower case, and the DICOM attribute that states it."""

    name: str
    source: str


# Name -> its synonyms, MURA's name where MURA has one: the standard's (PS3.16 CID 4, 4009, 4031, annex L) and those in
# use, in English, German, French, Spanish and Italian, without accents. Words that cover several names (extremity, arm,
# limb, joint, digit) are left out: they name none.
_WORDS = {
    "elbow": "elbow; elbows; elb; olecranon; ellbogen; ellenbogen; coude; coudes; codo; codos; gomito; gomiti",
    "finger": "finger; fingers; thumb; thumbs; digit of hand; finger of hand; hand finger; phalanx of hand; daumen; "
    "zeigefinger; mittelfinger; ringfinger; kleinfinger; doigt; doigts; doigt de la main; doigts de la main; "
    "doigts main; pouce; dedo; dedos; dedo de la mano; dedos de la mano; dedo de mano; dedos de mano; dedo mano; "
    "dedos mano; pulgar; dito; dita; dito della mano; dita della mano; dito mano; dita mano; pollice",
    "forearm": "forearm; forearms; fore arm; lower arm; lowerarm; lowarm; low arm; radius; ulna; radius ulna; "
    "unterarm; unterarme; avant bras; avantbras; antebrazo; antebrazos; avambraccio; radio y cubito; radio cubito",
    "hand": "hand; hands; metacarpus; metacarpal; metacarpals; haende; hande; mittelhand; main; mains; metacarpe; "
    "mano; manos; metacarpo; mani",
    "humerus": "humerus; humeri; upper arm; upperarm; uparm; up arm; oberarm; oberarme; bras; humero; brazo; omero; "
    "braccio",
    "shoulder": "shoulder; shoulders; shldr; clavicle; clavicles; collar bone; collarbone; scapula; acromioclavicular; "
    "ac; acjoint; glenohumeral; schulter; schultern; schulterblatt; schluesselbein; schlusselbein; epaule; epaules; "
    "clavicule; omoplate; hombro; hombros; clavicula; escapula; omoplato; spalla; spalle; clavicola; scapola",
    "wrist": "wrist; wrists; carpus; carpal; scaphoid; navicular of wrist; handgelenk; handgelenke; handwurzel; "
    "poignet; poignets; carpe; muneca; munecas; carpo; polso; polsi",
    "knee": "knee; knees; patella; knie; genou; genoux; rodilla; rodillas; ginocchio; ginocchia",
    "foot": "foot; feet; forefoot; midfoot; hindfoot; metatarsus; metatarsal; tarsal; tarsus; fuss; pied; pieds; pie; "
    "pies; piede; piedi",
    "heel": "heel; calcaneus; os calcis; ferse; talon; calcagno",
    "toe": "toe; toes; hallux; great toe; big toe; zehe; zehen; orteil; orteils; doigt de pied; dedo del pie; "
    "dedos del pie; dedo de pie; dedos de pie; dedo pie; dedos pie; dito del piede; dita del piede; dito piede; "
    "dita piede; alluce",
    "ankle": "ankle; ankles; sprunggelenk; knoechel; knochel; cheville; chevilles; tobillo; tobillos; caviglia",
    "hip": "hip; hips; huefte; hufte; hanche; hanches; cadera; caderas; anca",
    "leg": "leg; lower leg; tibia; fibula; tibia fibula; tib fib; tibfib; calf; unterschenkel; jambe; pierna; gamba",
    "thigh": "thigh; femur; upper leg; oberschenkel; cuisse; muslo; coscia",
    "chest": "chest; thorax; lung; lungs; torax; torace",
    "rib": "rib; ribs",
    "sternum": "sternum; sternoclavicular",
    "skull": "skull; head; cranium; schaedel; schadel; crane; craneo; cranio",
    "face": "face; facial; facial bones; nasal; nasal bone; orbit; zygoma; maxilla; paranasal sinus; paranasal sinuses",
    "jaw": "jaw; mandible; temporomandibular; tmj",
    "neck": "neck",
    "spine": "spine; cspine; tspine; lspine; c spine; t spine; l spine; cervical spine; thoracic spine; lumbar spine; "
    "lumbo sacral spine; lumbosacral spine; thoraco lumbar spine; cervico thoracic spine; whole spine; "
    "vertebral column; sacrum; coccyx; sacro coccygeal spine; backbone; wirbelsaeule; wirbelsaule; rachis",
    "pelvis": "pelvis; sacroiliac; ilium; becken; bassin; bacino",
    "abdomen": "abdomen; kub",
    "breast": "breast",
    "teeth": "tooth; teeth",
}
_NAMES = {phrase: name for name, phrases in _WORDS.items() for phrase in phrases.split("; ")}
_LONGEST = max(len(phrase.split()) for phrase in _NAMES)
# Words that stand around a body part, or are written together with it.
_AROUND = (
    "left right lt rt l r both bilateral bilat links rechts lks li re beide bds gauche droit droite g d izq izquierdo "
    "izquierda der derecho derecha dcha dcho sinistra sinistro destra destro sin sx dx sn dex "
    "ap pa lat lateral laterale obl oblique oblik axial seitlich face profil frente perfil view views vw v vws "
    "projection proj joint gelenk xr xray rx"
)
SIDES_AND_VIEWS = frozenset(_AROUND.split())
_JOINED = sorted((word for word in SIDES_AND_VIEWS if len(word) > 1), key=len, reverse=True)
_LETTER = re.compile(r"[lr](?=[a-z]{3})")  # of a side, before a name that is not as short as ac
_LONG = 40  # letters; no text of the standard's field is longer
_FRONTAL = "face"  # a view in French, beside another body part
_OF_BONES = ("head", "neck")  # bones have them, too: radial head, femoral neck
_PART_OF = {"finger": "hand", "toe": "foot"}  # the part is meant where a text names both
_PARTS = re.compile(r"[^a-z0-9]+")
_LETTERS_OR_NUMBER = re.compile(r"[a-z]+|[0-9]+")


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
    """The one name in a text, all its values together; vague, unknown and ambiguous texts have none."""
    found = {name for value in text.split("\\") for name in _names(value, known)}
    return found.pop() if len(found) == 1 else None


def _names(text: str, known: Collection[str]) -> set[str]:
    """The names in one value. Other words (left, joint) say nothing, but for what stands beside a head or a neck."""
    words = [word for word in _PARTS.split(_plain(text)) if word]
    whole = {"_".join(words), "-".join(words), "".join(words)}
    if own := sorted(whole & set(known)):
        return {own[0]}
    words = [_without_side(part) or part for word in words for part in _LETTERS_OR_NUMBER.findall(word)]
    found, has_others, position = set[str](), False, 0
    while position < len(words):
        length = next(
            (count for count in range(_LONGEST, 0, -1) if " ".join(words[position : position + count]) in _NAMES), 0
        )
        if length:
            found.add(_NAMES[" ".join(words[position : position + length])])
        has_others |= not length and words[position] not in SIDES_AND_VIEWS and not words[position].isdigit()
        position += max(length, 1)
    if has_others:
        found -= {_NAMES[word] for word in _OF_BONES if word in words}
    if _FRONTAL in words and len(found) > 1:
        found.discard(_NAMES[_FRONTAL])
    return found - {whole for part, whole in _PART_OF.items() if part in found}


def _plain(text: str) -> str:
    """In lower case, without accents."""
    letters = unicodedata.normalize("NFKD", text.lower().replace("\xdf", "ss"))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@lru_cache(maxsize=1024)
def _without_side(word: str) -> str:
    """The name of a body part that stands alone or is written together with sides and views; empty where none is."""
    if word in _NAMES or not word or len(word) > _LONG:
        return word if word in _NAMES else ""
    shorter = {cut for end in _JOINED for cut in (word.removeprefix(end), word.removesuffix(end)) if cut != word}
    if _LETTER.match(word):
        shorter.add(word[1:])
    return next((name for cut in sorted(shorter) if (name := _without_side(cut))), "")
