//! Stories that were told once by a seed or thought of by a person, each for one rule.

use crate::world::World;

#[test]
fn a_quiet_story_ends_with_the_file() {
    let mut world = World::quiet(95);
    assert_eq!(world.run(), "a file");
    assert_eq!(world.our_files(), 1);
}

#[test]
fn a_crash_between_complete_and_its_answer_makes_no_second_file() {
    let mut world = World::quiet(95);
    world.crash_after_arrival = true;
    assert_eq!(world.run(), "a file");
    assert_eq!(world.our_files(), 1);
}

#[test]
fn a_crash_between_a_single_post_and_its_answer_makes_no_second_file() {
    let mut world = World::quiet(95);
    world.plan.route = partwise_protocol::upload::RouteChoice::Single;
    world.crash_after_arrival = true;
    assert_eq!(world.run(), "a file");
    assert_eq!(world.our_files(), 1);
}
