import os
import shutil
from pathlib import Path

import pytest

from murace.data.sources.listing import ConflictError
from murace.data.sources.source import read_source
from murace.errors import DataError
from tests.data.files import make_manifest, make_mura, picture, png
from tests.listener import Listener


def refused(source, *words):
    with pytest.raises(DataError) as error:
        read_source(source)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def append(path, *lines):
    path.write_text(path.read_text() + "".join(f"{line}\n" for line in lines))


def rewrite(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# MURA


def test_a_mura_folder_is_listed_under_any_name(tmp_path):
    listing = read_source(make_mura(tmp_path / "any name"))
    row = listing.images.iloc[0]
    assert (listing.form, len(listing.images), listing.patient_level) == ("mura", 64, True)
    assert row["path"] == "train/XR_ELBOW/patient00001/study1_negative/image1.png"
    assert (row["group"], row["patient"], row["label"], row["split"]) == ("elbow", "patient00001", 0, "train")
    assert row["study"] == "train/XR_ELBOW/patient00001/study1_negative"
    assert listing.images["study"].nunique() == 32
    assert set(listing.images.loc[listing.images["path"].str.startswith("valid/"), "split"]) == {"test"}


def test_the_csv_decide_which_files_belong(tmp_path):
    folder = make_mura(tmp_path)
    study = folder / "train/XR_ELBOW/patient00001/study1_negative"
    (study / "image9.png").write_bytes(png(picture()))
    (study / "._image1.png").write_bytes(b"\0\5\x16\7")
    append(folder / "train_image_paths.csv", "MURA-v1.1/train/XR_ELBOW/patient00001/study1_negative/._image2.png")
    listing = read_source(folder)
    assert (len(listing.images), listing.ignored) == (64, 2)
    assert any(note.startswith("1 files") for note in listing.notes)


def test_an_image_whose_folder_contradicts_the_csv_is_rejected_with_both_stories(tmp_path):
    folder = make_mura(tmp_path)
    rewrite(folder / "train_labeled_studies.csv", "patient00001/study1_negative/,0", "patient00001/study1_negative/,1")
    listing = read_source(folder)
    assert len(listing.rejected) == 2
    assert listing.rejected[0][1] == "mislabelled: the folder says negative, train_labeled_studies.csv says 1"
    assert listing.listed == 64


def test_images_without_a_labelled_study_and_studies_without_images_are_rejected(tmp_path):
    folder = make_mura(tmp_path)
    rewrite(folder / "train_labeled_studies.csv", "MURA-v1.1/train/XR_ELBOW/patient00001/study1_negative/,0\n", "")
    append(folder / "train_labeled_studies.csv", "MURA-v1.1/train/XR_ELBOW/patient00777/study1_negative/,0")
    reasons = sorted(reason for _, reason in read_source(folder).rejected)
    assert len(reasons) == 3
    assert reasons[0] == "a study in train_labeled_studies.csv without any image"
    assert reasons[1] == "its study is not in train_labeled_studies.csv"


def test_a_study_with_both_labels_stops(tmp_path):
    folder = make_mura(tmp_path)
    append(folder / "train_labeled_studies.csv", "MURA-v1.1/train/XR_ELBOW/patient00001/study1_negative/,1")
    refused(folder, "label conflict", "patient00001")


def test_one_study_number_in_two_folders_of_different_labels_stops(tmp_path):
    folder = make_mura(tmp_path)
    study = "train/XR_ELBOW/patient00001/study1_positive"
    append(folder / "train_labeled_studies.csv", f"MURA-v1.1/{study}/,1")
    append(folder / "train_image_paths.csv", f"MURA-v1.1/{study}/image1.png")
    refused(folder, "label conflict", "patient00001")


def test_a_patient_in_both_parts_stops_across_regions_and_zeros(tmp_path):
    folder = make_mura(tmp_path)
    study = "valid/XR_HAND/patient1/study1_negative"
    append(folder / "valid_labeled_studies.csv", f"MURA-v1.1/{study}/,0")
    append(folder / "valid_image_paths.csv", f"MURA-v1.1/{study}/image1.png")
    refused(folder, "in two splits", "patient00001")


@pytest.mark.parametrize("label", ["2", "yes", "", "1.0", " 1", "nan"])
def test_a_mura_label_is_exactly_0_or_1(tmp_path, label):
    folder = make_mura(tmp_path)
    append(folder / "valid_labeled_studies.csv", f"MURA-v1.1/valid/XR_HAND/patient00500/study1_negative/,{label}")
    refused(folder, "exactly 0 or 1", f"'{label}'", "line 17")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "MURA-v1.1/train/../../x.png",
        "MURA-v1.1/train/XR_ELBOW/patient00001/study1_negative/..",
        "MURA-v1.1/valid/XR_ELBOW/patient00001/study1_negative/image1.png",
        "train\\XR_ELBOW\\patient00001\\study1_negative\\image1.png",
    ],
)
def test_a_mura_path_of_another_form_stops(tmp_path, name):
    folder = make_mura(tmp_path)
    append(folder / "train_image_paths.csv", name)
    refused(folder, "line 33")


def test_a_folder_without_the_four_csv_says_what_it_lacks_and_looks_one_level_down(tmp_path):
    make_mura(tmp_path / "MURA-v1.1")
    refused(
        tmp_path, "no MURA folder", "train_image_paths.csv", "valid_labeled_studies.csv", "did you mean", "MURA-v1.1"
    )
    shutil.rmtree(tmp_path / "MURA-v1.1")
    make_manifest(tmp_path)
    refused(tmp_path, "manifest.csv")


# Manifest


def test_a_bare_manifest_has_one_group_and_each_image_is_its_own_patient(tmp_path):
    listing = read_source(make_manifest(tmp_path))
    images = listing.images
    assert set(images["group"]) == {"all"}
    assert images["patient"].nunique() == images["study"].nunique() == 40
    assert not images["patient"].str.contains("/").any()
    assert not listing.patient_level
    assert any("no patient-level split" in note for note in listing.notes)


def test_studies_of_one_name_never_merge(tmp_path):
    header, row = "path,label,group,patient,study,extra", "{path},{label},g{label},p{label},s1,x{number}"
    listing = read_source(make_manifest(tmp_path, header=header, row=row))
    assert sorted(set(listing.images["study"])) == ["g0/p0/s1", "g1/p1/s1"]
    assert listing.images["extra"].tolist() == [f"x{number}" for number in range(40)]
    assert listing.patient_level


def test_without_patients_studies_of_one_name_in_two_groups_are_two(tmp_path):
    source = make_manifest(tmp_path, header="path,label,group,study", row="{path},{label},g{label},s/1")
    images = read_source(source).images
    assert sorted(set(images["study"])) == ["g0/s/1", "g1/s/1"]
    assert sorted(set(images["patient"])) == ["g0%2Fs%2F1", "g1%2Fs%2F1"]


def test_bom_crlf_blank_lines_and_quoted_commas_are_accepted(tmp_path):
    path = make_manifest(tmp_path)
    (tmp_path / "a, b.png").write_bytes(png(picture(99)))
    text = path.read_text() + '\n"a, b.png",1\n\n'
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    listing = read_source(path)
    assert len(listing.images) == 41
    assert "a, b.png" in set(listing.images["path"])


@pytest.mark.parametrize("data", ["path,label\na,1\n".encode("utf-16"), b"\x89PNG\0\0", b"path,label\n\xff\xfe,1\n"])
def test_what_is_no_utf8_csv_is_refused(tmp_path, data):
    (tmp_path / "m.csv").write_bytes(data)
    refused(tmp_path / "m.csv", "UTF-8")


def test_a_field_without_end_or_without_limit_is_refused(tmp_path):
    (tmp_path / "m.csv").write_text('path,label\n"a.png,1\n')
    refused(tmp_path / "m.csv", "not a csv file")
    (tmp_path / "m.csv").write_text(f"path,label\n{'x' * 200_000},1\n")
    refused(tmp_path / "m.csv", "not a csv file")


def test_a_carried_column_may_be_anything_but_what_steers_a_terminal(tmp_path):
    (tmp_path / "m.csv").write_text("path,label,maker\na.png,0,\nb.png,1,<b>=1+1\n")
    assert list(read_source(tmp_path / "m.csv").images["maker"]) == ["", "<b>=1+1"]
    (tmp_path / "m.csv").write_text("path,label,maker\na.png,0,\x1b[31mGE\n")
    refused(tmp_path / "m.csv", "column maker (line 2: a control character")


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("file,label", "no column path"),
        ("path,abnormal", "no column label"),
        ("path|label", "no column path"),
        ("path,label,label", "twice"),
        ("path,label,width", "rename the column width"),
        ("path,label,calibrated", "rename the column calibrated"),
        ("path,label,resnet_calibrated", "rename the column resnet_calibrated"),
        ("path,label,", "no name"),
    ],
)
def test_a_header_that_will_not_do(tmp_path, header, words):
    (tmp_path / "m.csv").write_text(f"{header}\n")
    refused(tmp_path / "m.csv", words)


def test_all_bad_labels_are_counted_and_the_first_are_named_with_a_hint(tmp_path):
    path = make_manifest(tmp_path, row="{path},{label}.0")
    refused(path, "line 2: write it as 0: '0.0'", "line 3: write it as 1: '1.0'", "and 35 more")


@pytest.mark.parametrize("label", [" 1", "2", "", "yes", "nan", "true", "-0"])
def test_a_manifest_label_is_exactly_0_or_1(tmp_path, label):
    path = make_manifest(tmp_path)
    append(path, f"image000.png,{label}")
    refused(path, "exactly 0 or 1", "line 42")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../x.png",
        "a/../../x",
        "a\\b.png",
        "C:/x.png",
        "=1.png",
        "+a",
        "@a",
        "-a",
        "a\x1bb",
        "a\u202eb",
        "d/",
    ],
)
def test_paths_that_lead_out_or_pretend_are_refused_unopened(tmp_path, name):
    path = make_manifest(tmp_path)
    append(path, f'"{name}",1')
    refused(path, "line 42", "a path that cannot be used")


@pytest.mark.parametrize("group", ["Elbow", "overall", "", "a b", "x" * 41])
def test_a_group_must_be_valid_as_it_is(tmp_path, group):
    refused(make_manifest(tmp_path, header="path,label,group", row="{path},{label}," + group), "column group")


@pytest.mark.parametrize(("column", "value"), [("patient", ""), ("patient", "a/b"), ("study", "=x"), ("split", "val")])
def test_other_ids_are_checked_too(tmp_path, column, value):
    row = "{path},{label}," + value
    refused(make_manifest(tmp_path, header=f"path,label,{column}", row=row), f"column {column}")


def test_one_image_or_study_with_two_labels_stops(tmp_path):
    path = make_manifest(tmp_path)
    append(path, "./image000.png,1")
    refused(path, "label conflict", "image000.png")
    refused(
        make_manifest(tmp_path, header="path,label,patient,study", row="{path},{label},p,s"),
        "label conflict",
        "all/p/s",
    )


def test_a_row_given_twice_counts_once(tmp_path):
    path = make_manifest(tmp_path)
    append(path, "image000.png,0")
    listing = read_source(path)
    assert len(listing.images) == 40
    assert any("twice" in note for note in listing.notes)


def test_a_patient_in_two_given_splits_stops(tmp_path):
    path = make_manifest(tmp_path, header="path,label,patient,split", row="{path},{label},p{number},train")
    append(path, "other.png,0,p7,test")
    refused(path, "in two splits", "p7")


def test_sidecars_in_a_manifest_are_counted(tmp_path):
    path = make_manifest(tmp_path)
    append(path, "._image000.png,0", "__MACOSX/image000.png,1", "a/.DS_Store,1")
    listing = read_source(path)
    assert (len(listing.images), listing.ignored) == (40, 3)


def test_no_such_source_and_no_kind_of_source(tmp_path):
    refused(tmp_path / "none", "no such source")
    (tmp_path / "mura.zip").write_bytes(b"PK")
    refused(tmp_path / "mura.zip", "MURA folder", "manifest")


def test_the_digest_covers_every_column_but_not_the_order_of_rows(tmp_path):
    path = make_manifest(tmp_path, header="path,label,note", row="{path},{label},x")
    before = read_source(path).digest
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert read_source(path).digest == before
    path.write_text(path.read_text().replace("image000.png,0,x", "image000.png,0,y"))
    assert read_source(path).digest != before


# What spreadsheets and copying leave in csv files


INVISIBLE = [" ", "\u00a0", "\u200b", "\ufeff", "\u00ad", "\u2060"]


@pytest.mark.parametrize("letter", INVISIBLE, ids=ascii)
def test_an_invisible_character_hides_no_patient_in_two_splits(tmp_path, letter):
    path = make_manifest(tmp_path, header="path,label,patient,split", row="{path},{label},p{number},train")
    append(path, f"other.png,0,p7{letter},test")
    reporter = Listener()
    with pytest.raises(ConflictError, match=r"in two splits: 1 patient: p7$"):
        read_source(path, reporter=reporter)
    assert len(reporter.warnings) == 1
    assert f"1, for example 'p7' and {f'p7{letter}'!a}" in reporter.warnings[0]


def test_spellings_of_one_study_are_one_study_and_counted(tmp_path):
    path = make_manifest(tmp_path, header="path,label,patient,study", row="{path},{label},p{number},s")
    append(path, "other.png,1,p7\u00a0,s\u00ad")
    listing = read_source(path)
    assert listing.alike == {"patient": 1, "study": 1}
    assert set(listing.images.loc[listing.images["patient"] == "p7", "study"]) == {"all/p7/s"}
    append(path, "another.png,0,p7 ,s")
    refused(path, "label conflict: both labels for 1 study: all/p7/s")


def test_an_id_of_one_spelling_is_as_it_was(tmp_path):
    """What was prepared before is not outdated."""
    listing = read_source(make_manifest(tmp_path, header="path,label,patient", row="{path},{label},p{number}\u00a0"))
    assert set(listing.images["patient"]) == {f"p{number}\u00a0" for number in range(40)}
    assert listing.alike == {}


@pytest.mark.parametrize("name", ["\u200b", " ", "\u00a0\u00ad"])
def test_an_id_of_nothing_that_can_be_seen_is_none(tmp_path, name):
    refused(
        make_manifest(tmp_path, header="path,label,patient", row="{path},{label}," + name), "column patient", "empty"
    )


def test_a_spelling_never_becomes_a_formula(tmp_path):
    path = make_manifest(tmp_path, header="path,label,patient", row="{path},{label},p{number}")
    append(path, "a.png,0,\u200b=1", "b.png,0, =1")
    refused(path, "column patient (line 42: begins with one of = + - @: '=1'; line 43")


@pytest.mark.parametrize("name", ["patient ", "\ufeffpatient", "pati\u00adent"])
def test_a_column_is_known_by_what_is_seen_of_its_name(tmp_path, name):
    listing = read_source(make_manifest(tmp_path, header=f"path,label,{name}", row="{path},{label},p{number}"))
    assert listing.patient_level
    assert set(listing.images["patient"]) == {f"p{number}" for number in range(40)}
    refused(make_manifest(tmp_path, header=f"path,label,patient,{name}", row="{path},{label},p,p"), "twice: patient")


@pytest.mark.parametrize(
    ("column", "value", "hint"), [("split", "train\u200b", "'train'"), ("group", "Knee ", "'knee'")]
)
def test_words_with_something_invisible_are_refused_with_what_was_meant(tmp_path, column, value, hint):
    refused(make_manifest(tmp_path, header=f"path,label,{column}", row="{path},{label}," + value), hint)


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_semicolons_and_tabs_are_read_as_commas_are(tmp_path, separator, quote):
    path = make_manifest(tmp_path, header="path,label,patient,site", row="{path},{label},p{number},s")
    wanted = read_source(path)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    rows[1][3] = rows[1][3] + ",5"  # within a cell
    path.write_text("\r\n".join(separator.join(f"{quote}{cell}{quote}" for cell in row) for row in rows))
    found = read_source(path)
    assert found.images["site"].tolist() == ["s,5", *["s"] * 39]
    assert found.images.drop(columns="site").equals(wanted.images.drop(columns="site"))


def test_commas_stay_commas_whatever_else_a_name_holds(tmp_path):
    listing = read_source(make_manifest(tmp_path, header="path,label,a;b;c", row="{path},{label},x;y;z"))
    assert set(listing.images["a;b;c"]) == {"x;y;z"}


def test_a_table_of_tabs_may_be_called_tsv(tmp_path):
    path = make_manifest(tmp_path, header="path\tlabel", row="{path}\t{label}")
    assert len(read_source(path.rename(tmp_path / "m.tsv")).images) == 40


# Links, and paths from the root


@pytest.mark.parametrize("through", ["", "link/"])
def test_absolute_paths_into_the_folder_of_the_csv_are_read(tmp_path, through):
    (tmp_path / "link").symlink_to("source")
    plain = make_manifest(tmp_path / "source")
    before = read_source(plain).digest
    start = tmp_path / (through or "source")
    plain.write_text(plain.read_text().replace("image", f"{start}/image"))
    assert read_source(start / "manifest.csv").digest == before


@pytest.mark.parametrize("name", ["/etc/passwd", "{}2/x.png", "{}/../x.png", "{}", "{}/"])
def test_absolute_paths_elsewhere_are_refused(tmp_path, name):
    path = make_manifest(tmp_path / "source")
    append(path, f"{name.format(tmp_path / 'source')},1")
    refused(path, "line 42", "a path that cannot be used")


def test_links_in_a_circle_are_looked_at_once_and_end(tmp_path):
    folder = make_mura(tmp_path / "source")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "unlisted.png").write_bytes(png(picture()))
    (elsewhere / "itself").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder / "train")
    (folder / "train/more").symlink_to(elsewhere)
    assert read_source(folder).notes == []
    assert [note.split(" in ")[0] for note in read_source(folder, follow_links=True).notes] == ["2 links", "1 files"]


def test_a_source_that_is_a_circle_is_said_to_be_one(tmp_path):
    (tmp_path / "m.csv").symlink_to("m.csv")
    refused(tmp_path / "m.csv", "m.csv cannot be read: a link that leads in a circle")


@pytest.mark.skipif("MURACE_CASES" not in os.environ, reason="MURACE_CASES does not name the folder of collected cases")
def test_collected_cases():
    folder = Path(os.environ["MURACE_CASES"]) / "csv"
    refused(folder / "blank_trail.csv", "in two splits: 10 patients")
    assert len(read_source(folder / "semicolon.csv").images) == 50
