//! Going on from a checkpoint.

use super::{
    Checkpoint, Parallel, Plan, ResumeError, SourceStamp, UploadMachine,
    checkpoint::SavedRoute,
    clock::ServiceClock,
    parts::Parts,
    state::{OpenUpload, Stage, UploadRoute},
};
use crate::Api;

impl UploadMachine {
    /// Goes on from a checkpoint. What is sent comes from the checkpoint (name, purpose, what is left); how it is sent comes
    /// from `plan`: the sizes of parts, parallelism, retry policy, MD5.
    ///
    /// A checkpoint that was saved right before the request that makes the file leads to finding out what became of
    /// it first. An upload that has expired in the meantime ends with [`UploadError::Expired`](super::UploadError)
    /// once the service has said so, or starts over when the plan allows it.
    ///
    /// # Errors
    /// [`ResumeError`] when the checkpoint is of another version, service, dialect or source, and says which.
    pub fn resume(
        api: Api,
        plan: Plan,
        saved: Checkpoint,
        source: SourceStamp,
        entropy: [u8; 32],
    ) -> Result<Self, ResumeError> {
        saved.check(&api, &source)?;
        // The parts that are there were read when the source looked like this.
        let source = SourceStamp { changed: saved.source.changed.clone(), ..source };
        let plan = Plan {
            filename: saved.filename,
            mime_type: saved.mime_type,
            purpose: saved.purpose,
            expires_after: saved.expires_after,
            md5: plan.md5 && matches!(saved.route, SavedRoute::Parts { .. }),
            parallel: plan.parallel.at_least_one(),
            ..plan
        };
        let length = source.length;
        let ambiguous;
        let (route, stage) = match saved.route {
            SavedRoute::Parts {
                upload_id,
                created_at,
                expires_at,
                clock_offset,
                account,
                acknowledged,
                completing,
            } => {
                let clock = ServiceClock::saved(clock_offset);
                let upload = OpenUpload { id: upload_id, created_at, expires_at, clock, account };
                let parts = Parts::with_stored(length, plan.sizes(&api, length), acknowledged)
                    .in_order(plan.parallel == Parallel::InOrder);
                ambiguous = completing;
                let stage = if parts.is_complete() { Stage::Check { asked: false } } else { Stage::Send };
                (UploadRoute::Parts { upload: Some(Box::new(upload)), parts }, stage)
            }
            SavedRoute::Single { posted_at } => {
                ambiguous = true;
                let route = UploadRoute::Single { posted_at: Some(posted_at), posted: None, clock: None };
                (route, Stage::Reconcile(Box::default()))
            }
        };
        let mut transfer = Self::assemble(api, plan, source, entropy, route, stage);
        transfer.ambiguous = ambiguous;
        transfer.is_untried = true;
        Ok(transfer)
    }
}
