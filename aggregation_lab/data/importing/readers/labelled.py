"""Formats whose files carry no target: labels come from a table (--labels), or from a folder per class."""

from pathlib import Path

from aggregation_lab.data.importing.files import Opener
from aggregation_lab.data.importing.options import ImportOptions
from aggregation_lab.data.importing.readers.folder import read_folders
from aggregation_lab.data.importing.readers.table import read_table
from aggregation_lab.data.importing.records import ReadTask, Report
from aggregation_lab.data.importing.source_files import need_file, need_folder, source_name
from aggregation_lab.data.progress import Progress


def read_labelled(
    source: Path, options: ImportOptions, report: Report, progress: Progress, opener: Opener
) -> list[ReadTask]:
    """One task of the files in a folder, which `opener` opens. Its name is the folder's."""
    need_folder(source, f"that holds {opener.what}")
    if options.labels is None:
        return [read_folders(source, options, report, opener)]
    need_file(options.labels, "a CSV file with the columns image and label, mask, box or points (--labels)")
    task = read_table(options.labels, source, options, report, progress, opener)
    return [ReadTask(source_name(source), task.type, task.records, task.classes, task.class_names, task.subjects)]
