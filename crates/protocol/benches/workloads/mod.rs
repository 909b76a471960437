//! What is measured: each part of the crate at one fixed piece of work, without I/O and without chance.

mod answers;
mod checkpoints;
mod content;
mod forms;
mod json_lines;
mod machine;

/// One part of the crate at work.
pub(crate) struct Workload {
    /// Names it in reports and in the committed figures.
    pub(crate) name: &'static str,
    /// What one round does.
    pub(crate) amount: Amount,
    /// Makes ready what a round needs; is not measured.
    pub(crate) prepare: fn() -> Round,
}

/// One round of work, which can be repeated and costs the same each time.
pub(crate) type Round = Box<dyn FnMut()>;

/// What a cost is divided by.
#[derive(Clone, Copy)]
pub(crate) enum Amount {
    Bytes(u64),
    /// Forms, answers, files or parts.
    Items(u64),
}

/// All of them.
pub(crate) const WORKLOADS: &[Workload] = &[
    forms::WRITE,
    forms::READ,
    forms::BOUNDARY_SEARCH,
    forms::NEAR_MISSES,
    answers::PART,
    answers::UPLOAD,
    answers::LIST,
    answers::LIST_ALONE,
    checkpoints::WRITE,
    checkpoints::READ,
    json_lines::CHECK,
    machine::OF_1000,
    machine::OF_10000,
];
