//! A line of 100 kbit/s, by the kernel, in a network of its own.

use std::{
    io::Write as _,
    process::{Command, Output},
};

use partwise_testkit::content::noise;
use serde_json::Value;

use crate::sandbox::{Ran, Sandbox};

/// Packets as on other networks, at 100 kbit/s, of which the line holds 32 KiB.
const LINE: &str = "ip link set lo up mtu 1500 gso_max_segs 1 && \
                    tc qdisc add dev lo root tbf rate 100kbit burst 4kb limit 32kb";
/// One packet in a hundred is lost, where nftables is installed.
const LOSS: &str = "if command -v nft > /dev/null; then nft 'add table inet line; \
                    add chain inet line out { type filter hook output priority 0; }; \
                    add rule inet line out tcp dport 8080 numgen random mod 100 == 0 drop'; fi";
/// The server, and what is to be done with it.
const SCRIPT: &str = r#"
"$0" serve --listen 127.0.0.1:8080 --store served > said 2>&1 &
server=$!
trap 'kill $server' EXIT
until grep -qs listening said; do sleep 0.05; done
at="--endpoint http://127.0.0.1:8080"
"$0" upload a.bin --purpose assistants --route parts --json --stats $at > done.json &&
id=$(sed -n '1s/.*"id":"\([^"]*\)".*/\1/p' done.json) &&
"$0" files download "$id" -o back.bin $at && cat done.json
"#;

fn in_a_network_of_its_own(sandbox: &Sandbox, script: &str) -> std::io::Result<Output> {
    let binary = sandbox.command(&[]);
    let mut command = Command::new("unshare");
    command.args(["-Urn", "sh", "-c", script]).arg(binary.get_program());
    command.env("HOME", sandbox.path("")).env("OPENAI_API_KEY", "key").current_dir(sandbox.path(""));
    command.output()
}

#[test]
fn a_line_that_is_merely_slow_is_never_cut() {
    let sandbox = Sandbox::new();
    if !in_a_network_of_its_own(&sandbox, LINE).is_ok_and(|tried| tried.status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no network can be made here (unshare -Urn, ip, tc)");
        // The harness shows what a passing test prints to nobody; this goes past it.
        let _ = writeln!(std::io::stderr(), "NOT TESTED: no network can be made here (unshare -Urn, ip, tc)");
        return;
    }
    let content = noise(288 * 1024);
    sandbox.write("a.bin", &content);
    let ran = Ran::of(in_a_network_of_its_own(&sandbox, &format!("{LINE} && {LOSS} && {SCRIPT}")).unwrap());
    assert_eq!(ran.status, 0, "{ran:?}");
    let retries: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(retries["retries"]["total"], 0, "{retries}");
    assert_eq!(ran.stderr, "", "a download says nothing of another attempt");
    assert!(sandbox.read("back.bin") == content);
}
