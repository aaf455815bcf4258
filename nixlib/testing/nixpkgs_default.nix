# A small tree of nixpkgs' shape: the same arguments, attributes, outputs and passthru, without nixpkgs.
#
# What is built is copied: everything was compiled before, for the machine that runs the tests.
{ system, config ? { }, overlays ? [ ], ... }:

let
  make = { pname, version, parts, outputs ? [ "out" ], passthru ? { }, meta ? { }, more ? { } }:
    derivation ({
      name = "${pname}-${version}";
      inherit system outputs;
      builder = "${./builder}/copy";
      args = parts;
    } // more) // { inherit pname version meta; } // passthru;

  facts = builtins.fromJSON (builtins.readFile ./facts.json);

  module = pname: version: required:
    let
      self = make {
        pname = "python${facts.minor}-${pname}";
        inherit version;
        parts = [ "out" (./modules + "/${pname}") ];
        passthru = {
          inherit pname;
          pythonModule = python3;
          requiredPythonModules = [ python3 ] ++ required;
        };
      };
    in self;

  python3 = make {
    pname = "python3";
    inherit (facts) version;
    parts = [ "out" ./python ];
    passthru.pythonVersion = facts.minor;
  };

  tinybase = module "tinybase" "1.0" [ ];

  isLinux = builtins.match ".*-linux" system != null;
in
{
  inherit python3;
  ${facts.attribute} = python3;
  python30 = throw "python30 has been removed";

  # A program and a library, in outputs of their own.
  graphviz = make {
    pname = "graphviz";
    version = "9.9.9";
    outputs = [ "out" "lib" "doc" ];
    parts = [ "out" ./graphviz/out "lib" ./graphviz/lib "doc" ./graphviz/doc ];
  };

  libgreet = make { pname = "libgreet"; version = "1.2"; parts = [ "out" ./libgreet ]; };
  libfuture = make { pname = "libfuture"; version = "1.0"; parts = [ "out" ./libfuture ]; };

  python3Packages = {
    inherit tinybase;
    tinygreet = module "tinygreet" "2.0" [ tinybase ];
  };

  pythonManylinuxPackages.manylinux2014 = [
    (make { pname = "libpolicy"; version = "1.0"; parts = [ "out" ./libpolicy ]; })
  ];

  # What goes wrong.
  referring = make {
    pname = "referring";
    version = "1.0";
    parts = [ "out" ./graphviz/out ];
    more.refers = "${tinybase}";
  };
  linuxOnly =
    if isLinux then make { pname = "linux-only"; version = "1.0"; parts = [ "out" ./graphviz/out ]; }
    else throw "Package ‘linux-only-1.0’ is not available on the requested hostPlatform";
  unfree = throw "Package ‘unfree-1.0’ has an unfree license (‘unfree’), refusing to evaluate.";
  failing = make { pname = "failing"; version = "1.0"; parts = [ "out" "/absent" ]; };
  slow = make { pname = "slow"; version = "1.0"; parts = [ "sleep" "600" ]; };
  number = 42;
  loops = let self = self; in self;
  forever = builtins.foldl' (sum: _: sum) 0 (builtins.genList (n: builtins.length (builtins.genList (m: m * n) 100000)) 1000000000);
}
