import pytest
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from murace.data.images.dicom.radiograph import ANATOMIC_REGION, BODY_PART, Tags
from murace.data.images.dicom.regions import Stated, stated_region
from murace.data.images.dicom.values import _regions, code_meaning


def tags(*regions: tuple[str, str]) -> Tags:
    return Tags("", regions, "", "")


def named(text: str, known: tuple[str, ...] = ()) -> str | None:
    stated = stated_region(tags((BODY_PART, text)), known)
    return stated.name if stated else None


# UX: the codes of CID 4009 and 4031 for MURA's seven groups.
CODES = {
    "16953009": "elbow", "7569003": "finger", "76505004": "finger", "14975008": "forearm", "85562004": "hand",
    "85050009": "humerus", "40983000": "humerus", "16982005": "shoulder", "85856004": "shoulder",
    "51299004": "shoulder", "79601000": "shoulder", "74670003": "wrist",
}  # fmt: skip


@pytest.mark.parametrize("code", CODES)
def test_codes_of_the_upper_limb_are_muras_groups(code):
    assert named(code_meaning("SCT", code)) == CODES[code]


@pytest.mark.parametrize(
    ("code", "name"),
    [("T-15430", "elbow"), ("T-D8700", "hand"), ("T-15460", "wrist"), ("T-D8500", "forearm"), ("T-12410", "humerus")],
)
def test_retired_codes_are_read_too(code, name):
    assert named(code_meaning("SRT", code)) == name
    assert code_meaning("SRT", "T-NONE") == ""


def test_the_standards_codes_are_all_there_each_with_the_words_it_has_always_had():
    """Of pydicom's own tables those of the three context groups, read here as pydicom stores them."""
    modern = {
        code: words
        for entries in concepts["SCT"].values()
        for code, (words, groups) in entries.items()
        if not {4, 4009, 4031}.isdisjoint(groups)
    }
    assert _regions() == modern
    retired = {old: modern[new] for old, new in mapping["SRT"].items() if new in modern}
    assert len(modern) > 300
    assert len(retired) > 300
    for scheme in ("SRT", "SNM3", "99SDM"):
        assert {code: code_meaning(scheme, code) for code in list(retired)[::7]} == dict(list(retired.items())[::7])
    others = [code for code in mapping["SRT"] if code not in retired][::400]
    assert [code_meaning("SRT", code) for code in others] == [""] * len(others)


def test_no_code_of_another_part_is_taken_for_one_of_muras():
    ours = set(CODES.values())
    wrong = {}
    for entries in concepts["SCT"].values():
        for code, (words, sets) in entries.items():
            if {4009, 4031} & set(sets) and code not in CODES and named(words) in ours:
                wrong[code] = words
    assert wrong == {}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ELBOW", "elbow"), ("LEFT ELBOW", "elbow"), ("R WRIST", "wrist"), ("wrist_joint", "wrist"), ("L-HAND", "hand"),
        ("  Hand ", "hand"), ("THUMB", "finger"), ("UPPERARM", "humerus"), ("UPPER ARM", "humerus"),
        ("UPPER_ARM_L", "humerus"), ("FOREARM", "forearm"), ("RADIUS/ULNA", "forearm"), ("ACJOINT", "shoulder"),
        ("CLAVICLE", "shoulder"), ("SCAPULA", "shoulder"), ("RSHOULDER", "shoulder"), ("KNEE", "knee"),
        ("FOOT", "foot"), ("ANKLE", "ankle"), ("HIP", "hip"), ("LEG", "leg"), ("LOWER LEG", "leg"), ("TIB FIB", "leg"),
        ("CHEST", "chest"), ("SKULL", "skull"), ("CSPINE", "spine"), ("LSPINE", "spine"), ("PELVIS", "pelvis"),
        ("FEMUR", "thigh"),
    ],
)  # fmt: skip
def test_free_text(text, name):
    assert named(text) == name


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("elbow", "ELBOW; LEFTELBOW; ELBOW_LEFT; ELBOW AP; L ELBOW 2VW; ELBOW2V; Ellenbogen; ELLENBOGENGELENK LI; "
         "COUDE G; CODO IZQ; GOMITO DX"),
        ("finger", "FINGERS; R 2ND FINGER; Daumen re; Zeigefinger; DOIGT; POUCE; DEDO; DEDOS DE LA MANO; PULGAR; DITO; "
         "POLLICE"),
        ("forearm", "FOREARM; LOWER ARM; Unterarm; AVANT-BRAS; ANTEBRAZO; AVAMBRACCIO SIN"),
        ("hand", "HANDAP; LHAND; Hände; MAIN DROITE; MANO; MAIN DE FACE"),
        ("humerus", "UPARM; LEFTUPPERARM; Oberarm; HUMÉRUS; BRAS; HÚMERO; OMERO"),
        ("shoulder", "SHOULDERAP; Schultergelenk; Schlüsselbein; SCHLUESSELBEIN; ÉPAULE; HOMBRO; SPALLA; CLAVICOLA"),
        ("wrist", "WRIST ULNAR DEVIATION; RTWRIST; Handgelenk; HANDGELENK BDS; POIGNET FACE; MUÑECA; POLSO"),
        ("finger", "2ND FINGER R HAND; HAND - THUMB; L HAND FINGER 3; Hand Daumen"),
        ("elbow", "LELB; RELB; ELB L"),
        ("toe", "DEDO DEL PIE; DITO PIEDE; FOOT GREAT TOE; LTOE"),
        ("skull", "HEAD; HEAD LAT; HEAD 2V"),
        ("neck", "NECK; NECK AP"),
    ],
)  # fmt: skip
def test_words_of_five_languages_with_sides_and_views_around(name: str, texts: str) -> None:
    assert {text: named(text) for text in texts.split("; ")} == dict.fromkeys(texts.split("; "), name)


@pytest.mark.parametrize("text", ["l" * 10**6, "apap" * 10**5, "lr" * 20, "ap" * 19 + "x"])
def test_a_text_without_end_is_no_name_and_takes_no_time(text: str) -> None:
    assert named(text) is None


@pytest.mark.parametrize(
    "text",
    ["WRIST/HAND", "FOREARM ELBOW", "WRISTHAND", "CODO Y MANO", "UPEXM", "UP_EXM", "LOWEXM", "LACE", "DIGIT",
     "", " ", "EXTREMITY", "ARM", "UPPER EXTREMITY", "JOINT", "LOWER LIMB", "LEFT", "OTHER", "HAND WRIST", "KNEE/ANKLE",
     "CANARY^NAME", "RADIAL HEAD", "FEMORAL NECK", "HEAD RADIAL L", "RADIUS HEAD", "LAC", "RAC", "HAND\\WRIST",
     "HAND\\THUMB", "FINGER WRIST", "Bone of upper limb", "WHOLEBODY"],
)  # fmt: skip
def test_vague_ambiguous_and_unknown_words_say_nothing(text):
    assert named(text) is None


def test_the_better_source_comes_first_unless_it_says_nothing():
    both = tags((ANATOMIC_REGION, "Elbow joint"), (BODY_PART, "WRIST"))
    assert stated_region(both) == Stated("elbow", ANATOMIC_REGION)
    vague = tags((ANATOMIC_REGION, "Upper limb"), (BODY_PART, "WRIST"))
    assert stated_region(vague) == Stated("wrist", BODY_PART)
    assert stated_region(tags()) is None


def test_a_group_of_the_users_own_is_recognised_by_its_name():
    assert named("CLAVICLE", ("clavicle", "shoulder")) == "clavicle"
    assert named("Rotule", ("rotule",)) == "rotule"
    assert named("Whole Hand", ("whole_hand", "hand")) == "whole_hand"
    assert named("Rotule") is None
