"""No code of the project can run what stands in a file, and the search for it finds such code."""

from __future__ import annotations

import pytest

from tests.conftest import PROJECT
from tests.support.unsafe_calls import unsafe_calls

pytestmark = pytest.mark.seconds

FOLDERS = ("src", "stages", "tools", "benchmarks")


@pytest.mark.seconds
def test_no_module_of_the_project_can_run_what_a_file_says() -> None:
    files = [path for folder in FOLDERS for path in sorted((PROJECT / folder).rglob("*.py"))]
    assert len(files) > 80
    found = {
        str(path.relative_to(PROJECT)): calls
        for path in files
        if (calls := unsafe_calls(path.read_text(encoding="utf-8")))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import joblib as j",
        "from dill import loads",
        "import shelve",
        "def f():\n    from marshal import loads",
        "import cloudpickle.cloudpickle",
        "import numpy as np\nnp.load('a.npy')",
        "import numpy as np\nnp.load('a.npy', allow_pickle=True)",
        "import numpy as np\nflag = False\nnp.load('a.npy', allow_pickle=flag)",
        "import numpy as np\nnp.load('a.npy', None, 0)",
        "from numpy import load as read\nread('a.npy')",
        "import numpy as np\nread = np.load",
        "import torch\ntorch.load('a.pt')",
        "import torch\ntorch.load('a.pt', weights_only=False)",
        "from torch import load\nload('a.pt')",
        "import torch\ntorch.hub.load('a', 'b')",
        "import yaml\nyaml.load(text, yaml.SafeLoader)",
        "import yaml\nyaml.unsafe_load(text)",
        "import yaml\nyaml.full_load(text)",
        "from yaml import load_all\nload_all(text)",
        "eval('1')",
        "exec('1')",
        "f = eval",
        "compile('1', 'a', 'eval')",
        "__import__(name)",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import subprocess\nsubprocess.run('ls', shell=shell)",
        "from subprocess import getoutput\ngetoutput('ls')",
        "import os\nos.system('ls')",
        "from os import popen\npopen('ls')",
        "import pandas as pd\npd.read_pickle('a')",
        "import tarfile\ntarfile.open('a').extractall('b')",
        "import shutil\nshutil.unpack_archive('a')",
    ],
)
def test_each_way_to_run_it_is_found(source: str) -> None:
    (found,) = unsafe_calls(source)
    assert found.startswith(f"line {len(source.splitlines())}: ")


@pytest.mark.parametrize(
    "source",
    [
        "import numpy as np\nnp.load('a.npy', mmap_mode='r', allow_pickle=False)",
        "import torch\ntorch.load('a.pt', weights_only=True)",
        "import yaml\nyaml.safe_load(text)",
        "import re\nre.compile('a')",
        "net.eval()",
        "import subprocess\nsubprocess.run(['ls'], shell=False)",
        "import safetensors.torch\nsafetensors.torch.load(content)",
    ],
)
def test_what_is_safe_is_left_alone(source: str) -> None:
    assert unsafe_calls(source) == []
