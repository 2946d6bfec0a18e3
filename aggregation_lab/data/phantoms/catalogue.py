"""What is planted: the sources (one folder of pictures each) and how each of the 27 tasks reads them.

Two tasks that read one source share its files. A source with `copy_of` holds the same pictures as another source in
its own folder: byte-equal files under two names, as between the challenge's own sources.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from aggregation_lab.data.phantoms import abdominal, fetal, heart, obstetric, superficial
from aggregation_lab.data.phantoms.tissue import Tissue, Truth

PLANES: dict[str, Callable[[Tissue, str], Truth]] = {
    "abdomen": fetal.fetal_abdomen,
    "brain": fetal.fetal_head,
    "femur": fetal.femur,
    "thorax": fetal.fetal_chest,
    "cervix": obstetric.cervix,
    "other": obstetric.other_plane,
}


def fetal_plane(tissue: Tissue, appearance: str) -> Truth:
    return PLANES[appearance](tissue, appearance)


@dataclass(frozen=True)
class Source:
    """One data set: its name below `folder`, its anatomy, and the names of its files.

    `file` is formatted with appearance, subject, frame, number (both from 1) and plane (the appearance's number).
    `weights` are the appearances' shares. `mixed`: the images of one subject differ in appearance.
    `subject_column`: the file names do not tell the subject, so the CSV has a `subject_id`.
    """

    name: str
    folder: str
    draw: Callable[[Tissue, str], Truth]
    probe: str
    file: str
    appearances: tuple[str, ...] = ("standard",)
    weights: tuple[float, ...] = (1.0,)
    frames: int = 1
    mixed: bool = False
    subject_column: bool = False
    copy_of: str = ""

    @property
    def key(self) -> str:
        """The name that seeds the pictures: copies have that of their original."""
        return self.copy_of or self.name


@dataclass(frozen=True)
class TaskPlan:
    """How a task reads its sources: (source, share of the task's rows) pairs.

    Classification: `labels` by appearance. Segmentation: `structures` are the shapes of classes 1, 2, ...
    Detection: the one structure to be boxed. Regression: all points of the scene. `appearances` restricts the images
    used (all if empty). `anatomy` names what is seen, for the relatedness of tasks.
    """

    sources: tuple[tuple[str, float], ...]
    anatomy: tuple[str, ...]
    labels: dict[str, int] = field(default_factory=dict)
    structures: tuple[str, ...] = ()
    appearances: tuple[str, ...] = ()


def _labels(*appearances: str) -> dict[str, int]:
    return {appearance: label for label, appearance in enumerate(appearances)}


_LESIONS, _LESION_SHARES = ("benign", "malignant", "normal"), (0.5, 0.3, 0.2)
_LUNGS = ("A-lines", "B-lines", "consolidation")
_PLANE_SHARES = (0.1, 0.25, 0.15, 0.15, 0.1, 0.25)
_ORGANS = ("bladder", "bowel", "gallbladder", "kidney", "liver", "spleen")
_POSITION_SHARES = (0.16, 0.1, 0.18, 0.1, 0.08, 0.14, 0.1, 0.14)
_SACRAL_SHARES = (0.16, 0.12, 0.18, 0.12, 0.01, 0.15, 0.1, 0.16)

SOURCES = {
    source.name: source
    for source in (
        Source("BUSI_Dataset_780", "Segmentation/Two", superficial.breast, "linear",
               "{appearance}/{appearance} ({number}).png", _LESIONS, _LESION_SHARES),
        Source("BUS_UC", "Segmentation/Two", superficial.breast, "linear",
               "images/{appearance}_{number:04d}.png", _LESIONS, _LESION_SHARES),
        Source("DDTI+TN3K", "Segmentation/Two", superficial.neck, "linear",
               "images/{subject:04d}-{frame}.png", frames=2, subject_column=True),
        Source("Thyroid_cine, boxes", "Detection/One", superficial.neck, "linear",
               "images/{subject:04d}-{frame}.jpg", frames=3, subject_column=True),
        Source("Carotid_1100", "Segmentation/Two", superficial.neck, "linear",
               "images/{subject:03d}-{frame}.png", frames=2, subject_column=True),
        Source("COVID_lung_linear", "Segmentation/Two", superficial.lung, "linear",
               "images/Lin{subject:03d}_{frame}.png", _LUNGS[:2], (0.5, 0.5), frames=3),
        Source("POCUS_lung", "Classification/Three", superficial.lung, "linear",
               "Cov-Atlas+({subject})_{frame}.jpg", _LUNGS, (0.4, 0.3, 0.3), frames=3),
        Source("spinal_cord_injury", "Detection/One", superficial.spinal_cord, "linear",
               "images/{subject:03d}-{frame}.png", frames=2, subject_column=True),
        Source("HCC_Hemangioma_5466", "Classification/Two", abdominal.liver_lesion, "convex",
               "{appearance}/{subject:04d}-{frame}.jpg", ("HCC", "hemangioma"), (0.55, 0.45), frames=2,
               subject_column=True),
        Source("abdominal_organs", "Classification/Six", abdominal.organ, "convex",
               "{appearance}/{number:03d}.png", _ORGANS, (1.0,) * 6),
        Source("MMOTU", "Segmentation/Two", abdominal.ovary, "convex",
               "images/{number:04d}.png"),
        Source("uterine_fibroid", "Detection/One", abdominal.uterus, "convex",
               "images/{number:04d}.png"),
        Source("CAMUS", "Segmentation/Four", heart.adult_heart, "phased",
               "images/patient{subject:04d}-{frame}.png", frames=2, subject_column=True),
        Source("HC18_fetal_head_999", "Segmentation/Two", fetal.fetal_head, "convex",
               "images/{subject:03d}_{frame}HC.png", frames=2),
        Source("FOCUS_fetal_heart", "Segmentation/Two", fetal.fetal_chest, "convex",
               "images/{number:03d}.png"),
        Source("fetal_abdomen", "Segmentation/Five", fetal.fetal_abdomen, "convex",
               "images/P{subject:03d}-{frame}.png", frames=2, subject_column=True),
        Source("FETAL_PLANES_ZENODO_12,400", "Classification/Six", fetal_plane, "convex",
               "Patient{subject:05d}_Plane{plane}_{frame}_of_2.png", tuple(PLANES), _PLANE_SHARES, frames=2,
               mixed=True),
        Source("fetal_head_position", "Classification/Eight", fetal.head_position, "convex",
               "{appearance}/FHP{subject:04d}.zhc_{frame:03d}.png", fetal.POSITIONS, _POSITION_SHARES, frames=2),
        Source("fetal_sacral_position", "Classification/Eight", fetal.sacral_position, "convex",
               "{appearance}/FSP{subject:04d}.zhc_{frame:03d}.png", fetal.SACRAL_POSITIONS, _SACRAL_SHARES, frames=2),
        Source("PSFHS", "Segmentation/Three", obstetric.intrapartum, "convex",
               "images/{subject:05d}-{frame}.png", frames=3, subject_column=True),
        Source("IUGC_2024", "Regression", obstetric.intrapartum, "convex",
               "v{subject:04d}-{frame}.png", frames=3, subject_column=True),
        Source("IUGC_from_PSFHS", "Regression", obstetric.intrapartum, "convex",
               "s{subject:04d}-{frame}.png", frames=3, subject_column=True, copy_of="PSFHS"),
        Source("Cervix_TVUS", "Segmentation/Two", obstetric.cervix, "convex",
               "images/{number:03d}.png"),
        Source("FUGC_lips", "Segmentation/Three", obstetric.cervix, "convex",
               "images/{number:03d}.png"),
        Source("FUGC_points", "Regression", obstetric.cervix, "convex",
               "{number:03d}.png"),
        Source("FUGC_points_from_lips", "Regression", obstetric.cervix, "convex",
               "{number:03d}.png", copy_of="FUGC_lips"),
        Source("fetal_femur", "Regression", fetal.femur, "convex",
               "femur {number:03d}.png"),
        Source("fetal_femur_planes", "Regression", fetal_plane, "convex",
               "Patient{subject:05d}_Plane{plane}_{frame}_of_2.png", tuple(PLANES), _PLANE_SHARES, frames=2,
               mixed=True, copy_of="FETAL_PLANES_ZENODO_12,400"),
    )
}  # fmt: skip
"""Every source by its folder name."""

_BREAST = ("BUSI_Dataset_780", "BUS_UC")

TASK_PLANS = {
    "breast_lesion": TaskPlan(
        ((_BREAST[0], 0.7), (_BREAST[1], 0.3)), ("breast",), structures=("mass",), appearances=_LESIONS[:2]
    ),
    "breast_2cls": TaskPlan(
        ((_BREAST[1], 1.0),), ("breast",), _labels("benign", "malignant"), appearances=_LESIONS[:2]
    ),
    "breast_3cls": TaskPlan(((_BREAST[0], 0.8), (_BREAST[1], 0.2)), ("breast",), _labels(*_LESIONS)),
    "carotid_artery": TaskPlan((("Carotid_1100", 1.0),), ("neck",), structures=("artery",)),
    "thyroid_nodule": TaskPlan((("DDTI+TN3K", 1.0),), ("neck",), structures=("dark nodule",)),
    "thyroid_nodule_det": TaskPlan((("Thyroid_cine, boxes", 1.0),), ("neck",), structures=("bright nodule",)),
    "lung": TaskPlan((("COVID_lung_linear", 1.0),), ("lung",), structures=("lung",)),
    "lung_2cls": TaskPlan((("COVID_lung_linear", 1.0),), ("lung",), _labels("A-lines", "B-lines")),
    "lung_disease_3cls": TaskPlan((("POCUS_lung", 1.0),), ("lung",), _labels("B-lines", "A-lines", "consolidation")),
    "spinal_cord_injury_loc": TaskPlan((("spinal_cord_injury", 1.0),), ("spinal cord",), structures=("lesion",)),
    "liver_lesion_2cls": TaskPlan((("HCC_Hemangioma_5466", 1.0),), ("liver",), _labels("HCC", "hemangioma")),
    "organ_cls": TaskPlan((("abdominal_organs", 1.0),), ("liver", "abdominal organs"), _labels(*_ORGANS)),
    "ovary_tumor": TaskPlan((("MMOTU", 1.0),), ("ovary",), structures=("tumour",)),
    "uterine_fibroid_det": TaskPlan((("uterine_fibroid", 1.0),), ("uterus",), structures=("fibroid",)),
    "cardiac_multi": TaskPlan((("CAMUS", 1.0),), ("adult heart",), structures=("cavity", "myocardium", "atrium")),
    "fetal_head": TaskPlan((("HC18_fetal_head_999", 1.0),), ("fetal head",), structures=("head",)),
    "fetal_heart": TaskPlan((("FOCUS_fetal_heart", 1.0),), ("fetal trunk", "fetal heart"), structures=("heart",)),
    "fetal_abdomen_multi": TaskPlan(
        (("fetal_abdomen", 1.0),), ("fetal trunk",), structures=("artery", "liver", "stomach", "vein")
    ),
    "fetal_plane_cls": TaskPlan(
        (("FETAL_PLANES_ZENODO_12,400", 1.0),),
        ("fetal head", "fetal trunk", "fetal heart", "femur", "cervix"),
        _labels(*PLANES),
    ),
    "fetal_head_pos_cls": TaskPlan((("fetal_head_position", 1.0),), ("fetal head",), _labels(*fetal.POSITIONS)),
    "fetal_sacral_pos_cls": TaskPlan(
        (("fetal_sacral_position", 1.0),), ("fetal trunk",), _labels(*fetal.SACRAL_POSITIONS)
    ),
    "head_symphysis_multi": TaskPlan((("PSFHS", 1.0),), ("fetal head", "symphysis"), structures=("symphysis", "head")),
    "IUGC": TaskPlan((("IUGC_2024", 0.7), ("IUGC_from_PSFHS", 0.3)), ("fetal head", "symphysis")),
    "cervix": TaskPlan((("Cervix_TVUS", 1.0),), ("cervix",), structures=("cervix",)),
    "cervix_multi": TaskPlan((("FUGC_lips", 1.0),), ("cervix",), structures=("anterior", "posterior")),
    "FUGC": TaskPlan((("FUGC_points", 0.5), ("FUGC_points_from_lips", 0.5)), ("cervix",)),
    "fetal_femur": TaskPlan(
        (("fetal_femur", 0.7), ("fetal_femur_planes", 0.3)), ("femur",), appearances=("femur", "standard")
    ),
}
"""The planting of every task of the challenge, by task id."""
