from lmms_manu._version import __version__ as __version__
from lmms_manu.benchmarks.example import Example as Example
from lmms_manu.methods.data import UnlearningData as UnlearningData
from lmms_manu.methods.erase.method import Erase as Erase
from lmms_manu.methods.finetune.method import Finetune as Finetune
from lmms_manu.methods.gradient.method import GradientAscent as GradientAscent
from lmms_manu.methods.gradient.method import GradientDifference as GradientDifference
from lmms_manu.methods.gradient.method import Idk as Idk
from lmms_manu.methods.gradient.method import KlMinimisation as KlMinimisation
from lmms_manu.methods.gradient.method import Npo as Npo
from lmms_manu.methods.gradient.method import Rmu as Rmu
from lmms_manu.methods.gradient.method import SimNpo as SimNpo
from lmms_manu.methods.gradient.method import Undial as Undial
from lmms_manu.methods.kvw.method import Kvw as Kvw
from lmms_manu.methods.manu.method import Manu as Manu
from lmms_manu.methods.mip_editor.method import MipEditor as MipEditor
from lmms_manu.methods.mmunlearner.method import MMUnlearner as MMUnlearner
from lmms_manu.methods.prompting.method import Prompting as Prompting
from lmms_manu.methods.record import EditRecord as EditRecord
from lmms_manu.methods.unedited import Unedited as Unedited
from lmms_manu.models.loading import Checkpoint as Checkpoint
from lmms_manu.models.wrapping import wrap as wrap
from lmms_manu.public import answer as answer
from lmms_manu.public import load as load
from lmms_manu.public import people as people
from lmms_manu.public import save as save
from lmms_manu.public import unlearn as unlearn
from lmms_manu.report.notebook import read_results as read_results

__all__ = [
    "Checkpoint",
    "EditRecord",
    "Erase",
    "Example",
    "Finetune",
    "GradientAscent",
    "GradientDifference",
    "Idk",
    "KlMinimisation",
    "Kvw",
    "MMUnlearner",
    "Manu",
    "MipEditor",
    "Npo",
    "Prompting",
    "Rmu",
    "SimNpo",
    "Undial",
    "Unedited",
    "UnlearningData",
    "__version__",
    "answer",
    "load",
    "people",
    "read_results",
    "save",
    "unlearn",
    "wrap",
]
