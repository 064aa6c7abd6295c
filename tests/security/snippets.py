"""Pieces of source for the walk over murace's own: what it must find, in several spellings, or not."""

FORBIDDEN = """
import torch; torch.load(p)
import torch; torch.load(p, weights_only=True)
import torch as t; t.save(x, p)
import torch; f = torch.load
import torch; getattr(torch, 'load')(p)
from torch import load as open_it; open_it(p)
from torch.jit import load; load(p)
import torch.jit as j
from torch import hub
from torch.utils.data import DataLoader
import pickle
import pickle as p
from pickle import loads
import _pickle
import dill
import joblib
import shelve
import marshal
import multiprocessing.pool
from importlib import import_module; import_module('pickle')
import importlib as i; i.import_module('dill')
import pandas as pd; pd.read_pickle(p)
table.to_pickle(p)
import numpy as np; np.load(p)
import numpy as np; np.load(p, allow_pickle=True)
import numpy; numpy.load(p, allow_pickle=flag)
from numpy import load; load(p, None, yes)
import yaml; yaml.load(x)
from yaml import safe_load
import zipfile
from tarfile import open as o
import shutil; shutil.unpack_archive(p)
x.extractall()
import subprocess; subprocess.run(a)
from subprocess import run
f(a, shell=True)
f(a, shell=x)
import os; os.system(a)
from os import popen as p; p(a)
import os; os.execv(a, b)
eval(a)
exec(a)
compile(a, b, c)
__import__(a)
import builtins; builtins.eval(a)
import runpy
table.query(a)
table.eval(a)
from importlib import import_module; import_module(name)
import ctypes
from PIL import Image; Image.open(p)
import PIL.Image; PIL.Image.open(p)
import cv2; cv2.imread(p)
from murace.system.opencv import cv2; cv2.imdecode(a, 1)
from PIL import ImageFile; ImageFile.LOAD_TRUNCATED_IMAGES = True
setattr(x, 'LOAD_TRUNCATED_IMAGES', True)
import torchvision.io as t
from jinja2 import Environment, StrictUndefined; Environment(undefined=StrictUndefined)
from jinja2 import Environment, StrictUndefined; Environment(autoescape=False, undefined=StrictUndefined)
from jinja2 import Environment; Environment(autoescape=True)
from markupsafe import Markup; Markup(x)
import jinja2; jinja2.Template(x)
f(verify=False)
import urllib.request
from urllib import request
import http.client
import socket
import requests
from torchvision.models import densenet169; densenet169(weights='DEFAULT')
import torch.distributed as dist
import tempfile; tempfile.mktemp()
open(p, 'w')
open(p, mode='ab')
p.open('wb')
p.open('r+')
p.open(mode)
p.write_text(x)
p.write_bytes(x)
p.touch()
import os; os.replace(a, b)
from os import rename; rename(a, b)
a.replace(b)
a.rename(b)
import os; os.open(p, 1)
table.to_csv(p)
import cv2; cv2.imwrite(p, x)
from safetensors.torch import save_file; save_file(x, p)
import shutil; shutil.copy(a, b)
from safetensors import safe_open
from safetensors.torch import load as l
import safetensors.torch as s; s.load_file(p)
from contextlib import suppress; x = suppress(Exception)
print(x)
import sys; sys.stdout.write(x)
from rich import print as p; p(x)
import json; json.loads(x)
from json import load; load(f)
""".strip().splitlines()

FORBIDDEN += [
    "def f():\n    import pickle",
    "try:\n    f()\nexcept:\n    g()",
    "try:\n    f()\nexcept Exception:\n    pass",
    "try:\n    f()\nexcept BaseException:\n    'nothing'",
]

HARMLESS = """
import torch; torch.compile(net); net.eval()
import re; re.compile(x)
text.replace('a', 'b')
path.open()
path.open('rb')
open(path)
table.rename(columns={})
table.to_csv(index=False)
from dataclasses import replace; replace(a, b=1)
from murace import bundle; bundle.open_bundle(p)
from murace.system.files import write_text; write_text(p, x)
from jinja2 import Environment, StrictUndefined; Environment(autoescape=True, undefined=StrictUndefined)
import os; os.environ.get('x')
from urllib.parse import quote
import json; json.dumps(x)
raise typer.Exit(code)
x = 'the word pickle in a text'
""".strip().splitlines()
