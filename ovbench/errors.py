"""Every way ovbench can say no, drawn as a tree; each message is one line: thing, value, remedy.

OvbenchError
├── BadInput              what the user gave cannot be used            -> exit 4
│   ├── BadOption         an option's or property's value
│   ├── BadModel          a model file, folder or name
│   ├── BadImages         a picture or a folder of pictures
│   │   └── UnreadableImage   one picture of a set: counted and named, the others go on
│   └── NotWritable       a folder or file that must be written and cannot be
├── LaneError             a lane ended without an answer
│   ├── LaneDied          its process is gone (crash, kill, out of memory)
│   └── LaneHung          no answer within the time allowed
├── ContestantRefused     OpenVINO would not open or run one contestant; the lane lives on
└── NothingMeasured       a figure was asked for that has no samples
"""

from __future__ import annotations


class OvbenchError(Exception):
    """Base of all errors that ovbench raises on purpose; ``str()`` is one line for the user."""


class BadInput(OvbenchError):
    """What the user gave cannot be used: usage error, exit code 4."""


class BadOption(BadInput):
    """An option's or property's value cannot be used."""


class BadModel(BadInput):
    """A model cannot be found, read or compiled."""


class BadImages(BadInput):
    """Pictures cannot be found or read, or are too few."""


class UnreadableImage(BadImages):
    """One picture of a set cannot be decoded; it is counted and named, and the others go on."""


class NotWritable(BadInput):
    """A folder or file that must be written cannot be."""


class LaneError(OvbenchError):
    """A lane ended without an answer."""


class LaneDied(LaneError):
    """The lane's process is gone: crash, kill or out of memory."""


class LaneHung(LaneError):
    """The lane gave no answer within the time allowed."""


class ContestantRefused(OvbenchError):
    """OpenVINO would not open or run one contestant; the lane lives on."""


class NothingMeasured(OvbenchError):
    """A figure was asked for that has no samples."""
