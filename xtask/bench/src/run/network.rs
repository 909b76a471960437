//! A network that loses packets.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sched::{CloneFlags, setns, unshare};

use super::tools::said;

/// A network namespace of this thread and of what it starts, with nothing but loopback. The one before is back when this is dropped.
#[derive(Debug)]
pub(crate) struct Network {
    before: File,
}

impl Network {
    pub(crate) fn alone() -> Result<Self> {
        let before = File::open("/proc/thread-self/ns/net")?;
        unshare(CloneFlags::CLONE_NEWNET)
            .context("no network namespace may be made here, which takes root or CAP_SYS_ADMIN")?;
        let network = Self { before };
        // Packets as long as on other networks, and not many in one, which would be dropped together.
        let link = ["link", "set", "lo", "up", "mtu", "1500", "gso_max_segs", "1"];
        said(Command::new("ip").args(link)).context("loopback cannot be set up")?;
        Ok(network)
    }

    /// Drops one packet in a hundred, by chance, to and from this port.
    pub(crate) fn drop_some(&self, port: u16, scratch: &Path) -> Result<()> {
        let rule = |side: &str| format!("tcp {side} {port} numgen random mod 100 == 0 drop");
        let rules = scratch.join("drop.nft");
        let text = format!(
            "table inet line {{\n  chain some {{\n    type filter hook input priority 0;\n    {}\n    {}\n  }}\n}}\n",
            rule("dport"),
            rule("sport")
        );
        fs::write(&rules, text)?;
        said(Command::new("nft").arg("-f").arg(rules))
            .context("nothing drops packets without nftables")
            .map(drop)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Err(error) = setns(&self.before, CloneFlags::CLONE_NEWNET) {
            eprintln!("what follows runs in a network of its own: {error}");
        }
    }
}
