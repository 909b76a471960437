//! Whatever one side writes, the other reads again: through the URI, in every dialect that has the operation.

mod answers;
mod requests;
mod values;
