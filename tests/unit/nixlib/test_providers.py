"""Where bare names come from, and why."""

import pytest

from nixlib.errors import ResolutionError, SpecError
from nixlib.providers import Orders, choose, names_for_nixpkgs, names_to_ask, parse_orders
from nixlib.requirements import parse_line


def lines(*texts):
    return [parse_line(text) for text in texts]


def chosen(providers, found, *texts):
    answer = choose(lines(*texts), parse_orders(providers), found)
    return [str(line) for line in answer.requirements], dict(answer.choices)


def test_without_providers_nothing_is_asked_and_nothing_is_chosen():
    asked = lines("numpy", "blas * mkl*", "nixpkgs#git")
    assert names_to_ask(asked, Orders()) == {}
    answer = choose(asked, Orders(), {})
    assert answer.requirements == tuple(asked)
    assert answer.choices == {}


def test_first_provider_that_has_it_gives_it():
    order = "conda-forge,wheel,nixpkgs"
    requirements, choices = chosen(
        {"_default": order}, {"conda-forge": {"numpy"}}, "numpy>=1.2", "six"
    )
    assert requirements == ["conda-forge::numpy >=1.2", "six"]
    assert choices == {
        "numpy": f"conda-forge: the first of `{order}`, which `providers._default` says",
        "six": f"wheel: `conda-forge` does not have it; the next of `{order}`, which `providers._default` says",
    }


def test_one_package_may_have_an_order_of_its_own():
    requirements, choices = chosen(
        {"requests": "conda-forge"}, {"conda-forge": {"requests"}}, "Requests", "six"
    )
    assert requirements == ["conda-forge::requests *", "six"]
    assert choices == {"requests": "conda-forge: `providers.requests` says so"}


def test_name_that_nobody_has_is_an_error_with_each_reason():
    with pytest.raises(ResolutionError) as caught:
        chosen({"six": "conda-forge,bioconda"}, {"conda-forge": (), "bioconda": ()}, "six")
    assert caught.value.requirement == "six"
    assert caught.value.details == (
        "`conda-forge` does not have it",
        "`bioconda` does not have it",
    )


@pytest.mark.parametrize(
    "line", ["a[x]", "a; python_version > '3'", "a @ https://h/a-1-py3-none-any.whl"]
)
def test_what_only_indexes_have_stays_with_them(line):
    asked = lines(line)
    assert names_to_ask(asked, parse_orders({"_default": "conda-forge,wheel"})) == {}
    requirements, _ = chosen({"_default": "conda-forge,wheel"}, {}, line)
    assert parse_line(requirements[0]).kind == "pypi"


def test_names_are_asked_for_in_every_spelling_of_conda():
    asked = names_to_ask(lines("Ruamel.Yaml"), parse_orders({"_default": "conda-forge,wheel"}))
    assert asked == {"conda-forge": {"ruamel.yaml", "ruamel-yaml", "ruamel_yaml"}}
    found = {"conda-forge": {"ruamel.yaml"}}
    requirements, _ = chosen({"_default": "conda-forge,wheel"}, found, "Ruamel.Yaml")
    assert requirements == ["conda-forge::ruamel.yaml *"]


def test_conda_means_any_of_the_notebooks_channels():
    requirements, choices = chosen({"six": "conda"}, {"conda": {"six"}}, "six==1.16")
    assert requirements == ["six 1.16"]
    assert choices == {"six": "conda: `providers.six` says so"}


def test_nixpkgs_gives_its_python_package_where_no_version_is_asked_for():
    order = {"_default": "nixpkgs,wheel"}
    requirements, choices = chosen(order, {"nixpkgs": {"numpy"}}, "numpy", "six==1.16", "toolz")
    assert requirements == ["nixpkgs#python3Packages.numpy", "six==1.16", "toolz"]
    assert choices["six"].startswith("wheel: `nixpkgs` cannot be asked: it has one version")
    assert choices["toolz"].startswith("wheel: `nixpkgs` does not have it")


def test_version_without_a_word_in_conda_goes_on_to_the_next():
    requirements, _ = chosen({"_default": "conda-forge,wheel"}, {}, "six===1.16")
    assert requirements == ["six===1.16"]


def test_formats_are_those_of_the_order_and_both_where_it_has_none():
    orders = parse_orders({"_default": "wheel", "a": "sdist,wheel", "b": "conda-forge"})
    assert [orders.formats(name) for name in ("x", "A", "b")] == [
        ("wheel",),
        ("sdist", "wheel"),
        ("wheel", "sdist"),
    ]


def test_channels_of_orders_are_named_once():
    orders = parse_orders({"_default": "conda-forge,wheel", "x": "bioconda,conda-forge,nixpkgs"})
    assert orders.channels == ("conda-forge", "bioconda")


@pytest.mark.parametrize(
    ("order", "hint"),
    [("whel,sdist", "`wheel`"), ("nixpkg", "`nixpkgs`"), ("wheel,wheel", ""), ("Conda", "`conda`")],
)
def test_typing_error_is_no_channel(order, hint):
    with pytest.raises(SpecError) as caught:
        parse_orders({"_default": order})
    assert caught.value.key == "nixenv.providers._default"
    assert hint in caught.value.hint


def test_channel_that_the_spec_names_is_no_typing_error():
    assert parse_orders({"_default": "wheels"}, ["wheels"]).default == ("wheels",)


@pytest.mark.parametrize(
    ("order", "asked"),
    [
        ("nixpkgs,wheel", {"requests"}),
        ("conda-forge,nixpkgs,wheel", {"requests"}),
        ("conda-forge,wheel,nixpkgs", set()),
        ("wheel", set()),
    ],
)
def test_nixpkgs_is_asked_only_for_what_it_may_give(order, asked):
    lines = [parse_line(text) for text in ("Requests", "pandas >=2", "a[b]", "nixpkgs#dot")]
    assert names_for_nixpkgs(lines, parse_orders({"_default": order}, ("conda-forge",))) == asked
