"""Attacks from inside a sandbox: each is the body of a function that gives what it won, if anything."""

from collections.abc import Mapping

# Reads attempts, one a line, and makes a process for each, which has no descriptor but 0, 1 and 2.
LAUNCHER = """
import ctypes, json, os, socket, struct, sys
NUMBERS = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def call(name, *arguments):
    return checked(libc.syscall(ctypes.c_long(NUMBERS[name]), *arguments)) >= 0
def read(path):
    with open(path, "rb") as file:
        return file.read(4096)
def write(path, text):
    with open(path, "w") as file:
        return file.write(text)
def verdict(order):
    exec(order["script"], globals())
    try:
        won = attack()
    except (OSError, KeyError, ValueError) as error:
        return f"failed: {error}"
    except Exception as error:
        return f"broken: {error!r}"
    return ("WON " if won else "failed ") + repr(won)[:300]
def attempt(order, heard):
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(heard, 1)
    os.closerange(3, 256)
    sys.argv = ["attack", *order["arguments"]]
    os.write(1, verdict(order).encode())
for line in sys.stdin:
    said, heard = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            attempt(json.loads(line), heard)
        finally:
            os._exit(1)
    os.close(heard)
    words = os.read(said, 4096).decode()
    os.close(said)
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), words]), flush=True)
"""

# What a sandbox must not even have.
HOST_PATHS = (
    *("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh", "/root/.ssh", "/root/.aws"),
    *("/var/log", "/var/lib", "/boot", "/srv", "/run/docker.sock", "/run/dbus", "/sys/kernel", "/sys/fs"),
    *("/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/port", "/dev/kvm", "/dev/fuse", "/dev/net/tun"),
    *("/dev/loop-control", "/dev/vsock", "/dev/sda", "/dev/vda", "/dev/disk", "/dev/mapper", "/dev/hwrng"),
)

# By what `/proc` tells, or lets be changed.
PROC: Mapping[str, str] = {
    "the root folder of process 1": "return os.listdir('/proc/1/root')",
    "the working folder of process 1": "return os.listdir('/proc/1/cwd')",
    "the environment of process 1": "return read('/proc/1/environ')",
    "the descriptors of process 1": "return list(map(os.readlink, os.scandir('/proc/1/fd')))",
    "the memory of process 1": "return os.open('/proc/1/mem', os.O_RDWR)",
    "the map of the memory of process 1": "return read('/proc/1/maps')",
    "the program of process 1": "return os.readlink('/proc/1/exe')",
    "all memory of the kernel": "return read('/proc/kcore')",
    "the log of the kernel": "return read('/proc/kmsg')",
    "keys of the host's users": "return read('/proc/keys')",
    "the timers of the kernel": "return read('/proc/timer_list')",
    "how often memory is shared": "return read('/proc/kpagecount')",
    "what memory is used for": "return read('/proc/kpageflags')",
    "the kernel's own tables": "return read('/proc/slabinfo') or read('/proc/vmallocinfo')",
    "addresses of the kernel": "return [l for l in open('/proc/kallsyms') if int(l.split()[0], 16)][:3]",
    "a reboot by a magic key": "return write('/proc/sysrq-trigger', 'h')",
    "a program for core dumps": "return write('/proc/sys/kernel/core_pattern', '|/tmp/evil')",
    "a program for missing modules": "return write('/proc/sys/kernel/modprobe', '/tmp/evil')",
    "the host's caches": "return write('/proc/sys/vm/drop_caches', '3')",
    "forwarding between networks": "return write('/proc/sys/net/ipv4/ip_forward', '1')",
    "ports of the privileged": "return write('/proc/sys/net/ipv4/ip_unprivileged_port_start', '0')",
    "the name of the host": "return write('/proc/sys/kernel/hostname', 'evil')",
    "more process numbers": "return write('/proc/sys/kernel/pid_max', '4000000')",
    "another user's rights by a new map": "return write('/proc/self/uid_map', '0 0 1')",
    "a hierarchy of control groups": "return [l for l in open('/proc/self/mountinfo') if ' - cgroup' in l]",
    "more of its control groups": (
        "return [write(os.path.join(top, name), '0')"
        " for top, _, names in os.walk('/sys') for name in names if 'cgroup' in name]"
    ),
    "interrupts of the host": "return write('/proc/irq/default_smp_affinity', '1')",
}

# By system calls.
CALLS: Mapping[str, str] = {
    "mounting a file system": "return call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
    "mounting another /proc": "return call('mount', b'proc', b'/tmp', b'proc', 0, None)",
    "making the root writable": "return call('mount', None, b'/', None, 0x20 | 0x1000, None)",
    "unmounting what hides /proc": "return call('umount2', b'/proc', 2)",
    "a file system by its handle": "return call('fsopen', b'tmpfs', 0)",
    "the tree of control groups": "return call('mount', b'none', b'/tmp', b'cgroup2', 0, None)",
    "the host's devices": "return call('mount', b'none', b'/tmp', b'devtmpfs', 0, None)",
    "a copy of a mount": "return call('open_tree', -100, b'/', 1)",
    "moving a mount": "return call('move_mount', -100, b'/tmp', -100, b'/home/agent', 0)",
    "changing a mount": "return call('mount_setattr', -100, b'/', 0, ctypes.create_string_buffer(32), 32)",
    "another root": "return call('pivot_root', b'/tmp', b'/tmp')",
    "a root below the root": "os.mkdir('/tmp/x'); os.chroot('/tmp/x'); return os.listdir('/')",
    "new users": "return call('unshare', 0x10000000)",
    "a new network": "return call('unshare', 0x40000000)",
    "new mounts": "return call('unshare', 0x00020000)",
    "new processes": "return call('unshare', 0x20000000)",
    "a new clock": "return call('unshare', 0x00000080)",
    "a child with new users": "return call('clone', 0x10000000 | 17, 0, 0, 0, 0) or os._exit(0)",
    "a child by the newer call": "return call('clone3', ctypes.create_string_buffer(88), 88)",
    "the namespaces of process 1": "return call('setns', os.open('/proc/1/ns/user', 0), 0)",
    "its own namespaces again": "return call('setns', os.open('/proc/self/ns/mnt', 0), 0)",
    "a device node of a disk": "os.mknod('/tmp/disk', 0o60666, os.makedev(8, 0)); return read('/tmp/disk')",
    "a device node of the memory": "os.mknod('/tmp/mem', 0o20666, os.makedev(1, 1)); return read('/tmp/mem')",
    "a file by its handle": "return call('open_by_handle_at', -100, ctypes.create_string_buffer(16), 0)",
    "the session's keyring": "return call('keyctl', 0, -3, 0)",
    "a key in the kernel": "return call('add_key', b'user', b'x', b'secret', 6, -3)",
    "a key of the host": "return call('request_key', b'user', b'x', None, -3)",
    "a program in the kernel": "return call('bpf', 5, ctypes.create_string_buffer(120), 120)",
    "counters of the processor": (
        "b = ctypes.create_string_buffer(struct.pack('IIQ', 1, 128, 0), 128);"
        " return call('perf_event_open', b, 0, -1, -1, 0)"
    ),
    "a ring of input and output": "return call('io_uring_setup', 4, ctypes.create_string_buffer(120))",
    "page faults at will": "return call('userfaultfd', 1)",
    "another kernel": "return call('kexec_load', 0, 0, 0, 0)",
    "another kernel from a file": "return call('kexec_file_load', -1, -1, 0, None, 0)",
    "a module": "return call('init_module', b'x', 1, b'')",
    "a module from a file": "return call('finit_module', os.open('/etc/passwd', 0), b'', 0)",
    "removing a module": "return call('delete_module', b'loop', 0)",
    "a reboot": "return call('reboot', 0xfee1dead, 672274793, 0, None)",
    "another time": "return call('settimeofday', ctypes.create_string_buffer(16), None)",
    "another clock": "return call('clock_settime', 0, ctypes.create_string_buffer(16))",
    "swap": "return call('swapon', b'/tmp/x', 0)",
    "accounting": "return call('acct', b'/tmp/x')",
    "quotas": "return call('quotactl', 0, None, 0, None)",
    "the kernel's messages": "return call('syslog', 3, ctypes.create_string_buffer(64), 64)",
    "another name of the machine": "return call('sethostname', b'evil', 4)",
    "watching the whole file system": "return call('fanotify_init', 0, 0)",
    "comparing with process 1": "return call('kcmp', 1, os.getpid(), 0, 0, 0)",
    "pages of process 1": "return call('move_pages', 1, 0, None, None, None, 0)",
    "typing on its terminal": ("import fcntl; _, t = os.openpty(); return fcntl.ioctl(t, 0x5412, b'x') == 0"),
    "hanging up terminals": "return call('vhangup')",
    "ports of the hardware": "return call('iopl', 3)",
    "the numbers of x32": "return checked(libc.syscall(ctypes.c_long(0x40000000 | 39))) > 0",
    "being root": "os.setuid(0); return os.getuid() == 0",
    "being in root's group": "os.setgroups([0]); return os.getgroups() == [0]",
}

# Before others, where there is not enough for all.
PRECEDENCE: Mapping[str, str] = {
    "being spared when memory is short": "return write('/proc/self/oom_score_adj', '-1000')",
    "sparing process 1 then": "return write('/proc/1/oom_score_adj', '-1000')",
    "priority over all": "os.setpriority(os.PRIO_PROCESS, 0, -20); return 'raised'",
    "running before all": "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)); return 'raised'",
}

# On processes that are not its own.
PROCESSES: Mapping[str, str] = {
    "tracing process 1": "return checked(libc.ptrace(16, 1, 0, 0)) == 0",
    "seizing process 1": "return checked(libc.ptrace(0x4206, 1, 0, 0)) == 0",
    "reading memory of process 1": (
        "b = ctypes.create_string_buffer(16); i = (ctypes.c_size_t * 2)(ctypes.addressof(b), 8);"
        " return checked(libc.process_vm_readv(1, i, 1, i, 1, 0)) > 0"
    ),
    "writing memory of process 1": (
        "b = ctypes.create_string_buffer(16); i = (ctypes.c_size_t * 2)(ctypes.addressof(b), 8);"
        " return checked(libc.process_vm_writev(1, i, 1, i, 1, 0)) > 0"
    ),
    "stealing the control socket": "return [call('pidfd_getfd', os.pidfd_open(1), n, 0) for n in range(9)]",
    "inheriting a descriptor": (
        "names = os.listdir('/proc/self/fd');"
        " return [n for n in names if int(n) > 2 and os.path.lexists('/proc/self/fd/' + n)]"
    ),
    "more open files than agreed": (
        "import resource; m = resource.getrlimit(7)[1] + 1; resource.setrlimit(7, (m, m)); return 'raised'"
    ),
}

# On the process of the host whose number is the argument.
HOST_PROCESSES: Mapping[str, str] = {
    "seeing it": "os.kill(int(sys.argv[1]), 0); return 'seen'",
    "killing it": "os.kill(int(sys.argv[1]), 9); return 'sent'",
    "holding it": "return os.pidfd_open(int(sys.argv[1]))",
    "tracing it": "return checked(libc.ptrace(0x4206, int(sys.argv[1]), 0, 0)) == 0",
    "its limits": "import resource; return resource.prlimit(int(sys.argv[1]), 7)",
}

# By sockets of kinds that no agent needs.
SOCKETS: Mapping[str, tuple[int, int, int]] = {
    "packets as they come": (17, 3, 0x0300),
    "packets of its own making": (17, 2, 0x0300),
    "raw IP": (2, 3, 255),
    "raw ICMP": (2, 3, 1),
    "raw IPv6": (10, 3, 58),
    "the machine that runs this one": (40, 1, 0),
    "the kernel's cryptography": (38, 5, 0),
    "IPsec keys": (15, 3, 2),
    "express data paths": (44, 3, 0),
    "Bluetooth": (31, 3, 1),
    "TIPC": (30, 5, 0),
    "RDS": (21, 5, 0),
    "CAN buses": (29, 3, 1),
    "the audit log": (16, 3, 9),
    "the firewall": (16, 3, 12),
    "events of devices": (16, 3, 15),
    "generic netlink": (16, 3, 16),
    "who talks to whom": (16, 3, 4),
}
