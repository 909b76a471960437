//! How large ranges are.

use crate::download::DownloadPlan;

#[test]
fn ranges_begin_small_grow_and_become_small_again() {
    const MIB: u64 = 1024 * 1024;
    let plan = DownloadPlan::new("file-1");
    assert_eq!(plan.first_size(), 16 * MIB);
    assert_eq!(plan.next_size(8 << 30), 64 * MIB);
    assert_eq!(plan.next_size(100 * MIB + 7), 12 * MIB);
    assert_eq!(plan.next_size(1), 8 * MIB);
}
