//! A part was acknowledged: what the service has, and what that says of the line.

use partwise_models::UploadPartResource;

use super::{
    UploadMachine,
    connections::Taken,
    line::Flown,
    parts::Part,
    state::{Stage, Way},
};

impl UploadMachine {
    /// The service has this part.
    pub(super) fn taken(&mut self, part: Part, flown: Flown, answer: &UploadPartResource) {
        let Way::Parts { parts, .. } = &mut self.way else { return };
        parts.acknowledge(part, &answer.id);
        if let Some((since, there)) = self.measuring.part_arrives(flown.left_at()) {
            self.activity.measure_from(since, there);
        }
        let sending = self.line.acknowledged(flown, part.len());
        let is_complete = parts.is_complete();
        self.is_untried = false;
        self.statistics.bytes_acknowledged += part.len();
        self.pace.success();
        let window = self.pace.window();
        let taken = Taken {
            bytes: part.len(),
            took: flown.took,
            sending,
            lately: self.line.rate(flown.at),
            epoch: flown.epoch,
        };
        self.with_connections(|connections| connections.taken(flown.at, taken, window));
        self.saver.part();
        if is_complete {
            self.enter(Stage::Check { asked: false });
        }
    }
}
