//! Faults that an upload must survive: it ends with the identical file, and there is no second one.

use std::time::Duration;

use partwise::stack::Timeouts;
use partwise_protocol::upload::RouteChoice;
use partwise_server::testing::Schedule;
use partwise_testkit::{
    errors::line,
    proxy::{ConnectionFault as Fault, Ending},
};
use tokio::time::timeout;

use crate::world::{KIB, SAFETY, Security, World, impatience, plan};

/// Uploads in parts through connections of which every third, up to the ninth, has this fault.
async fn survives(faults: impl IntoIterator<Item = Fault>) {
    survives_as(RouteChoice::Parts, faults).await;
}

async fn survives_as(route: RouteChoice, faults: impl IntoIterator<Item = Fault>) {
    let stories = faults.into_iter().flat_map(|fault| {
        [Security::Plain, Security::Tls].map(|security| tokio::spawn(survives_on(fault, security, route)))
    });
    for story in stories.collect::<Vec<_>>() {
        story.await.unwrap();
    }
}

async fn survives_on(fault: Fault, security: Security, route: RouteChoice) {
    let story = format!("{fault:?}, {security:?}, {route:?}");
    let faults = Schedule::new().nth(1, fault).nth(4, fault).nth(7, fault);
    let timeouts = if fault.may_be_silent() { impatience() } else { Timeouts::default() };
    survives_where(faults, security, route, timeouts, &story).await;
}

async fn survives_where(
    faults: Schedule<Fault>,
    security: Security,
    route: RouteChoice,
    timeouts: Timeouts,
    story: &str,
) {
    let world = World::new(security).await;
    let proxy = world.proxy(faults);
    let mut plan = plan();
    plan.route = route;
    let client = world.client_that_waits(proxy.address, timeouts);
    let upload = client.upload_as(plan, world.source()).prepare().await.unwrap().save_to(world.checkpoint());
    let result = timeout(SAFETY, upload.run()).await.unwrap_or_else(|_| panic!("{story}: it never ends"));
    let file = result.unwrap_or_else(|error| panic!("{story}: {}", line(&error)));
    world.assert_whole(&file).await;
    assert_eq!(world.checkpoint().load().unwrap(), None, "{story}: a finished upload leaves no checkpoint");
    assert!(proxy.faults() > 0, "{story}: nothing went wrong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_takes_its_time() {
    survives([Fault::Delay(Duration::from_millis(5))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_reads_slowly() {
    survives([Fault::SlowReader]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_end_as_if_nothing_were_wrong() {
    survives([0, 1, 300, 100 * KIB, 700 * KIB].map(|after| Fault::Cut { after, by: Ending::Fin })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_reset() {
    survives([0, 1, 300, 100 * KIB, 700 * KIB].map(|after| Fault::Cut { after, by: Ending::Reset })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_break_off() {
    for by in [Ending::Fin, Ending::Reset] {
        survives([0, 1, 20, 200, 1000].map(|after| Fault::CutAnswers { after, by })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_cannot_be_read() {
    let plain = [1, 20, 900, 1000, 1100].map(|after| (after, Security::Plain));
    // In a head, or in the second or third answer: who never made sense is taken for no service of this kind.
    for (after, security) in plain.into_iter().chain([(2000, Security::Tls)]) {
        survives_on(Fault::GarbleAnswers { to: None, after }, security, RouteChoice::Parts).await;
    }
}

/// The service has made the file each time; neither answer says so, and the list does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_about_the_file_that_can_never_be_read() {
    let survives = async |to, after, route| {
        let fault = Fault::GarbleAnswers { to: Some(to), after };
        let story = format!("{fault:?}");
        survives_where(Schedule::new().every(fault), Security::Plain, route, Timeouts::default(), &story)
            .await;
    };
    survives("/complete HTTP/1.1", 0, RouteChoice::Parts).await;
    survives("/complete HTTP/1.1", 12, RouteChoice::Parts).await;
    // Of whom nothing was ever heard that looks like HTTP, it is thought that it cannot have made a file.
    survives("POST /v1/files HTTP/1.1", 12, RouteChoice::Single).await;
}

/// Only where nothing lies between the client and the proxy: it speaks no TLS.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_asks_for_patience_before_it_has_read_the_part() {
    for after in [300, 100 * KIB] {
        survives_on(Fault::SendAway { after }, Security::Plain, RouteChoice::Parts).await;
    }
}

/// What was lost is found in the list. A request that never arrived would be looked for half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_to_a_file_in_one_request_that_is_lost() {
    let lost = [Fault::CutAnswers { after: 20, by: Ending::Reset }, Fault::StallAnswers { after: 20 }];
    survives_as(RouteChoice::Single, lost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_go_silent() {
    survives([0, 300, 100 * KIB].map(|after| Fault::Stall { after })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_never_come() {
    survives([0, 20, 1000].map(|after| Fault::StallAnswers { after })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_say_no_more_and_read_on() {
    survives([0, 300, 100 * KIB].map(|after| Fault::HalfClose { after })).await;
}
