"""Locks of an output folder: one holder at a time, and one line where there can be none."""

import errno
import fcntl
import os

import pytest

from aggregation_lab.errors import StudyError
from runners.store.folder_lock import locked


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_named(number, tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    said = f"{tmp_path}: its file system gives no file locks .{os.strerror(number)}.; choose a folder on another one"
    with pytest.raises(StudyError, match=said), locked(tmp_path / ".lock"):
        pass


def test_a_lock_has_one_holder_who_is_waited_for(tmp_path):
    waited, file = [], tmp_path / "new" / ".lock"

    def waiting():
        waited.append(file)
        raise KeyboardInterrupt

    with locked(file), pytest.raises(KeyboardInterrupt), locked(file, waiting):
        pytest.fail("two hold one lock")
    assert waited == [file]
    with locked(file, lambda: pytest.fail("the lock was not released")):
        pass
