//! Takes in what shows the line: acknowledged parts, and what the transport holds.

use partwise_models::UploadPartResource;

use super::{
    UploadMachine,
    connections::AcknowledgedPart,
    line::AnsweredPart,
    parts::Part,
    state::{Stage, UploadRoute},
};
use crate::transport::SendBuffer;

impl UploadMachine {
    /// Takes note of what the driver's transport may hold of the bytes that it reports as departed: the rates that sizes of parts
    /// and the number of connections follow from leave it out, and a request that finds out whether the service can be reached is
    /// taken to get through only when more has departed. Until then it is taken to hold nothing.
    pub fn handle_send_buffer(&mut self, buffer: SendBuffer) {
        self.line.buffer = buffer;
    }

    /// The service has this part.
    pub(super) fn taken(&mut self, part: Part, answered: AnsweredPart, answer: &UploadPartResource) {
        let UploadRoute::Parts { parts, .. } = &mut self.route else { return };
        parts.acknowledge(part, &answer.id);
        if let Some((since, there)) = self.measuring.part_arrives(answered.left_at()) {
            self.activity.measure_from(since, there);
        }
        let sending = self.line.acknowledged(answered, part.len());
        let is_complete = parts.is_complete();
        self.is_untried = false;
        self.statistics.bytes_acknowledged += part.len();
        self.pace.success();
        let window = self.pace.window();
        let acknowledged = AcknowledgedPart {
            bytes: part.len(),
            took: answered.took,
            sending,
            lately: self.line.rate(answered.at),
            epoch: answered.epoch,
        };
        self.with_connections(|connections| connections.acknowledged(answered.at, acknowledged, window));
        self.saver.part();
        if is_complete {
            self.enter(Stage::Check { asked: false });
        }
    }
}
