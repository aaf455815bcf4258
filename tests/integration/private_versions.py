"""The versions that the matrix of private groups compares, and what its cells use."""

from __future__ import annotations

PUBLIC = (
    "click==8.1.7",
    "jinja2==3.1.4",
    "attrs==23.2.0",
    "pydantic==2.9.2",
    "protobuf==4.25.3",
    "requests==2.31.0",
    "urllib3>=2",
    "matplotlib==3.8.4",
    "scikit-learn==1.4.2",
    "pandas==2.2.3",
    "numpy==1.26.4",
    "lxml==5.2.1",
    "ipython<8.24",  # later ones have no `backend2gui`, which matplotlib 3.7 imports
)
PRIVATE = {
    "click7": ["click==7.1.2"],
    "jinja30": ["jinja2==3.0.3", "markupsafe==2.1.2"],
    "attrs21": ["attrs==21.4.0"],
    "pydantic25": ["pydantic==2.5.3"],
    "pydantic1": ["pydantic==1.10.15"],
    "protobuf3": ["protobuf==3.20.3"],
    "requests25": ["requests==2.25.1"],
    "plot37": ["matplotlib==3.7.5"],
    "learn13": ["scikit-learn==1.3.2", "joblib==1.3.2"],
    "pandas20": ["pandas==2.0.3"],
    "seaborn12": [
        "seaborn==0.12.2",
        "pandas==2.0.3",
        "matplotlib==3.7.5",
    ],  # of which it is lent two
}
# Group, module, its version there, the notebook's, and a module of it that nothing else imports.
CASES = (
    ("click7", "click", "7.1.2", "8.1.7", "click.testing"),
    ("jinja30", "jinja2", "3.0.3", "3.1.4", "jinja2.sandbox"),
    ("jinja30", "markupsafe", "2.1.2", "2.1.5", "markupsafe._native"),
    ("attrs21", "attr", "21.4.0", "23.2.0", "attr.validators"),
    ("pydantic25", "pydantic", "2.5.3", "2.9.2", "pydantic.networks"),
    ("pydantic1", "pydantic", "1.10.15", "2.9.2", "pydantic.networks"),
    ("protobuf3", "google.protobuf", "3.20.3", "4.25.3", "google.protobuf.text_format"),
    ("requests25", "requests", "2.25.1", "2.31.0", "requests.help"),
    ("plot37", "matplotlib", "3.7.5", "3.8.4", "matplotlib.sankey"),
    ("learn13", "sklearn", "1.3.2", "1.4.2", "sklearn.isotonic"),
    ("pandas20", "pandas", "2.0.3", "2.2.3", "pandas.testing"),
)

PREAMBLE = """
import copy, importlib, io, joblib, multiprocessing, operator, os, pickle, sys, threading
os.environ["LOKY_MAX_CPU_COUNT"] = "2"
POOLS = {
    method: multiprocessing.get_context(method).Pool(1)
    for method in ("fork", "spawn", "forkserver")
}
joblib.Parallel(2)(joblib.delayed(abs)(number) for number in range(2))
WHERE = operator.attrgetter("__class__.__module__")

def in_thread(function, *arguments):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function(*arguments)))
    thread.start()
    thread.join()
    return answers[0]

def crosses(value):
    "Whether pickles of it are what it is: here, and in workers of every kind, which started before its group was used."
    kind = type(value)
    back = [pickle.loads(pickle.dumps(value, protocol)) for protocol in range(2, 6)]
    back.append(copy.deepcopy(value))
    for method, pool in POOLS.items():
        assert pool.apply(WHERE, (value,)) == kind.__module__, method
        back.append(pool.apply(copy.copy, (value,)))
    back += joblib.Parallel(2)(joblib.delayed(copy.copy)(value) for _ in range(2))
    assert [type(one) for one in back] == [kind] * len(back), [type(one) for one in back]
    return back
"""

# What both versions of pydantic do, the group's by way of its own core.
PYDANTIC = """
    from nixenv.private.%(group)s import pydantic as old
    import pydantic
    from typing import List, Optional
    class Old(old.BaseModel):
        x: int
        y: Optional[List[int]] = None
    class New(pydantic.BaseModel):
        x: int
    class Nested(old.BaseModel):
        inner: Old
    assert Old(x="3").x == New(x="3").x == in_thread(lambda: Old(x="3").x) == 3
    assert Nested(inner={"x": 1}).inner == Old(x=1)
    try: Old(x="wrong")
    except old.ValidationError as error: assert not isinstance(error, pydantic.ValidationError)
    else: raise AssertionError
    @old.dataclasses.dataclass
    class Data: x: int
    assert Data("4").x == 4
    for kind in (Old, New):
        assert pickle.loads(pickle.dumps(kind(x=1))) == kind(x=1)
    assert "integer" in str(Old.%(schema)s())
"""
