# The builds of nixenv, in Nix's own language: give it what `nixlib/derivation.py` is given and it makes
# the same `.drv`, byte for byte.
#
#   nix-instantiate nixlib/expr/enclosed.nix --argstr json "$(cat derivation.json)"
#
# `json` is data and never code: an object with `name`, `system`, `builder`, `args`, `env` and `sources`,
# all strings but `args` (a list), `env` (an object) and `sources` (a list of store paths that are valid).
{ json }:
let
  given = builtins.fromJSON json;
  # A store path inside a string of data is only text; this says that the build needs it.
  needs = builtins.listToAttrs (map (path: { name = path; value = { path = true; }; }) given.sources);
in
derivation (given.env // {
  inherit (given) name system args;
  builder = builtins.appendContext given.builder needs;
})
