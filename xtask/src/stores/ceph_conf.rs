//! The settings of a Ceph cluster of one monitor, one store in memory and one gateway.

use std::path::Path;

/// The bytes that the store may hold.
const MEMORY: u64 = 4 << 30;

/// The text of `ceph.conf`.
///
/// The monitor decides at once (`paxos …`) in place of gathering changes for a second: a start takes one second, not ten. Without
/// `tcp_nodelay` a small answer of the gateway waits 40 ms for the acknowledgement of its head.
pub(super) fn conf(folder: &Path, id: &str, monitor_port: u16, port: u16) -> String {
    let folder = folder.display();
    format!(
        "[global]
fsid = {id}
mon host = [v2:127.0.0.1:{monitor_port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
keyring = {folder}/keyring
run dir = {folder}
admin socket =
pid file =
log to file = false
log to stderr = true
err to stderr = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd crush chooseleaf type = 0
auth allow insecure global id reclaim = false

[mon]
mon data = {folder}/mon
mon allow pool size one = true
mon cluster log to file = false
mon data avail warn = 2
mon data avail crit = 1
mon tick interval = 1
paxos propose interval = 0.02
paxos min wait = 0.01

[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = {MEMORY}

[client.gateway]
rgw data = {folder}/gateway
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw enable usage log = false
rgw enable ops log = false
rgw thread pool size = 64
rgw gc max objs = 1
rgw lc max objs = 1
debug rgw = 0
"
    )
}
