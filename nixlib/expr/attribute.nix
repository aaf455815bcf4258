# What attributes of one revision are: names, versions and the outputs that join an environment.
#
#   nix-instantiate --eval --strict --json attribute.nix --argstr request \
#     '{"tree": "sha256-…", "system": "x86_64-linux", "answer": "outputs",
#       "asked": [{"path": ["python3Packages", "numpy"], "role": "requirement"}]}'
#
# `request` is JSON and is only ever read as data. The tree is known by its NAR hash and must be in the store
# already: `fetchTarball` then gives its path, also in pure evaluation, and asks no network. With `"answer":
# "derivations"` (and without `--eval`) the same outputs are instantiated, for `nix-store --realise`.
{ request }:

let
  inherit (builtins)
    attrNames concatLists elem filter foldl' fromJSON functionArgs head intersectAttrs isAttrs
    elemAt isFunction isList isString length listToAttrs map match tryEval typeOf;

  given = fromJSON request;

  tree = fetchTarball {
    name = "source";
    url = "https://source.invalid/${given.tree}";
    sha256 = given.tree;
  };

  # Everything that nixpkgs would otherwise read from this machine is said here.
  stated = { inherit (given) system; config = { }; overlays = [ ]; };
  offered = import tree;
  named = functionArgs offered;
  packages =
    if !isFunction offered then offered
    else offered (if named == { } then stated else intersectAttrs named stated);

  find = foldl' (at: name:
    if at ? missing then at
    else if isAttrs at.value && at.value ? ${name} then { value = at.value.${name}; }
    else { missing = name; near = if isAttrs at.value then attrNames at.value else [ ]; }
  ) { value = packages; };

  last = list: elemAt list (length list - 1);
  isPackage = value: isAttrs value && value.type or null == "derivation";
  outputsOf = package: package.outputs or [ "out" ];
  output = package: name: package.${name} or package;
  library = package:
    output package (
      if elem "lib" (outputsOf package) then "lib"
      else if elem "out" (outputsOf package) then "out"
      else head (outputsOf package)
    );

  isModule = value: isAttrs value && isAttrs (value.pythonModule or null);
  modules = package: filter isModule ([ package ] ++ package.requiredPythonModules or [ ]);

  # What nobody links to or runs stays out of builds.
  papers = [ "doc" "man" "info" "devdoc" "devman" "debug" "test" "tests" "installedTests" ];

  # `libsndfile.out` asks for that output alone.
  isOutput = path: package:
    package.outputName or "" == last path && elem (last path) (outputsOf package) && length path > 1;

  joining = { role, path, ... }: package:
    if role == "interpreter" then [ (output package "out") ]
    else if role == "library" then [ (library package) ]
    else if role == "build" then
      map (output package) (filter (name: !elem name papers) (outputsOf package))
    else if isModule package then map (module: output module "out") (modules package)
    else if isOutput path package then [ (output package (last path)) ]
    else
      map (output package)
        (filter (name: elem name (outputsOf package))
          (package.meta.outputsToInstall or [ (head (outputsOf package)) ]))
      ++ [ (library package) ];

  version = value: if isString (value.version or null) then value.version else "";
  called = value:
    if isString (value.pname or null) then value.pname
    else if isString (value.name or null) then value.name
    else "";

  answers = {
    outputs = { role, ... }@asked: found:
      if found ? missing then found
      else if isList found.value then {
        name = ""; version = ""; python = ""; modules = [ ];
        outputs = map (each: "${(library each).outPath}") (filter isPackage found.value);
      }
      else if !isPackage found.value then { kind = typeOf found.value; }
      else {
        name = called found.value;
        version = version found.value;
        python = if isModule found.value then found.value.pythonModule.version else "";
        modules =
          if isModule found.value && role == "requirement"
          then map (each: { name = called each; version = version each; }) (modules found.value)
          else [ ];
        outputs = map (each: "${each.outPath}") (joining asked found.value);
      };

    derivations = asked: found:
      if isList found.value then map library (filter isPackage found.value)
      else joining asked found.value;

    # Whether there is a Python package of that name.
    modules = { path, ... }: _: packages ? python3Packages && packages.python3Packages ? ${last path};

    # The versions of every `python3…` that there is, to choose from.
    pythons = _: _: listToAttrs (filter (each: each.value != "") (map (name: {
      inherit name;
      value =
        let tried = tryEval (version packages.${name});
        in if tried.success then tried.value else "";
    }) (filter (name: match "python3[0-9]*" name != null) (attrNames packages))));
  };
in
if given.answer == "pythons" then answers.pythons null null
else if given.answer == "derivations" then
  concatLists (map (each: answers.derivations each (find each.path)) given.asked)
else map (each: answers.${given.answer} each (find each.path)) given.asked
