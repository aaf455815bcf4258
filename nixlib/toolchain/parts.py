"""Which programs, headers and libraries make up a C toolchain.

The C library's own and the kernel's headers, and no others: what else lies in `/usr/include` belongs to some
package of this machine, and a wheel built with it could not be built elsewhere. Who needs more says so.
"""

from __future__ import annotations

from typing import Final

COMPILERS: Final = ("gcc", "g++", "cc", "c++", "cpp", "gcc-ar", "gcc-nm", "gcc-ranlib")

BINUTILS: Final = (
    *("ar", "as", "c++filt", "ld", "ld.bfd", "nm", "objcopy", "objdump", "ranlib"),
    *("readelf", "size", "strings", "strip"),
)

INTERNAL: Final = ("cc1", "cc1plus", "collect2", "lto-wrapper", "lto1")
"""Programs that the compiler starts, by the names under which it tells where they are."""

SHELL: Final = (
    *("awk", "basename", "bash", "bzip2", "cat", "chmod", "cmp", "comm", "cp", "cut", "date", "dd"),
    *("diff", "dirname", "du", "echo", "egrep", "env", "expr", "false", "fgrep", "file", "find"),
    *("gawk", "grep", "gunzip", "gzip", "head", "id", "install", "join", "ln", "ls", "m4", "make"),
    *("mawk", "md5sum", "mkdir", "mkfifo", "mktemp", "mv", "nproc", "od", "patch", "pkg-config"),
    *("pkgconf", "printf", "pwd", "readlink", "realpath", "rm", "rmdir", "sed", "seq", "sh"),
    *("sha256sum", "sleep", "sort", "stat", "tail", "tar", "tee", "test", "touch", "tr", "true"),
    *("uname", "uniq", "wc", "which", "xargs", "xz"),
)
"""What `configure` scripts and makefiles expect everywhere (POSIX, GNU Coding Standards 7.1.2)."""

COMPILER_LIBRARIES: Final = (
    *("libgcc", "libgcc_s", "libgcc_eh", "libstdc++", "libsupc++", "libgomp", "libatomic"),
    *("libquadmath", "libssp", "liblto_plugin", "libgcov", "crt", "libcaf"),
)
"""Beginnings of the names of files in the compiler's own folder that programs are linked with."""

C_LIBRARIES: Final = (
    *("crt1.o", "crti.o", "crtn.o", "Scrt1.o", "gcrt1.o", "rcrt1.o", "grcrt1.o", "Mcrt1.o"),
    *("libc.so", "libc_nonshared.a", "libc.a", "libm.so", "libm.a", "libpthread.a", "libdl.a"),
    *("librt.a", "libutil.a", "libresolv.so", "libresolv.a", "libanl.so", "libanl.a", "libmvec.so"),
    *("libmvec.a", "libpthread.so", "libpthread_nonshared.a", "libdl.so", "librt.so", "libutil.so"),
)

HEADER_FOLDERS: Final = frozenset(
    {
        # The kernel's (`make headers_install`).
        *("asm", "asm-generic", "linux", "misc", "mtd", "rdma", "sound", "video", "xen"),
        # The C library's (`make install-headers` of glibc).
        *("arpa", "bits", "finclude", "gnu", "net", "netash", "netatalk", "netax25", "neteconet"),
        *("netinet", "netipx", "netiucv", "netpacket", "netrom", "netrose", "nfs", "protocols"),
        *("rpc", "scsi", "sys"),
        # The compiler's own.
        "c++",
    }
)

HEADERS: Final = frozenset(
    {
        f"{name}.h"
        for name in (
            *("a.out", "aio", "aliases", "alloca", "ar", "argp", "argz", "assert", "byteswap"),
            *("complex", "cpio", "crypt", "ctype", "dirent", "dlfcn", "elf", "endian", "envz"),
            *("err", "errno", "error", "execinfo", "fcntl", "features", "features-time64", "fenv"),
            *("fmtmsg", "fnmatch", "fpu_control", "fstab", "fts", "ftw", "gconv", "getopt", "glob"),
            *("gnu-versions", "grp", "gshadow", "iconv", "ieee754", "ifaddrs", "inttypes"),
            *("langinfo", "lastlog", "libgen", "libintl", "limits", "link", "locale", "malloc"),
            *("math", "mcheck", "memory", "mntent", "monetary", "mqueue", "netdb", "nl_types"),
            *("nss", "obstack", "paths", "poll", "printf", "proc_service", "pthread", "pty"),
            *("pwd", "re_comp", "regex", "regexp", "resolv", "sched", "search", "semaphore"),
            *("setjmp", "sgtty", "shadow", "signal", "spawn", "stab", "stdc-predef", "stdint"),
            *("stdio", "stdio_ext", "stdlib", "string", "strings", "syscall", "sysexits"),
            *("syslog", "tar", "termio", "termios", "tgmath", "thread_db", "threads", "time"),
            *("ttyent", "uchar", "ucontext", "ulimit", "unistd", "utime", "utmp", "utmpx"),
            *("values", "wait", "wchar", "wctype", "wordexp"),
        )
    }
)

GLIBC: Final = (
    *("ld-linux", "libc.so", "libm.so", "libpthread.so", "libdl.so", "librt.so", "libutil.so"),
    *("libresolv.so", "libanl.so", "libnsl.so", "libnss_"),
)
"""Beginnings of sonames of the C library: those of the runtime serve, so that there is one."""
