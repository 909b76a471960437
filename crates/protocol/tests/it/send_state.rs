//! Stopping a body while its transport takes bytes of it.

use partwise_protocol::transport::{SendBuffer, SendState};

#[test]
fn what_is_taken_while_another_thread_stops_the_body_is_in_the_bound() {
    for _ in 0..200 {
        let state = SendState::new(1000);
        let attempt = state.begin_attempt(SendBuffer::default());
        let taking = std::thread::spawn(move || (0..1000).take_while(|_| attempt.take(1)).count() as u64);
        let bound = state.stop();
        assert_eq!(taking.join().expect("it takes"), bound);
    }
}
