//! Markers that a power cut has torn, and servers that replace them.

use std::{
    fs,
    sync::{Arc, Barrier},
    time::Duration,
};

use partwise_protocol::operations::ListFiles;

use crate::world::World;

#[test]
fn servers_that_start_together_on_a_torn_marker_agree_on_the_store() {
    let homes: Vec<_> = (0..60)
        .map(|_| {
            let home = tempfile::tempdir().unwrap();
            fs::create_dir(home.path().join("tenants")).unwrap();
            fs::write(home.path().join("partwise.json"), "{").unwrap();
            home
        })
        .collect();
    // A marker that is written now must have another second than the torn ones.
    std::thread::sleep(Duration::from_millis(2100));
    for home in &homes {
        let barrier = Arc::new(Barrier::new(2));
        let servers: Vec<_> = (0..2)
            .map(|_| {
                let (root, barrier) = (home.path().to_owned(), barrier.clone());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(async {
                        barrier.wait();
                        let world = World::in_folder(&root).await;
                        barrier.wait();
                        world
                            .caller()
                            .call(&ListFiles::new())
                            .await
                            .map(drop)
                            .map_err(|refusal| refusal.status)
                    })
                })
            })
            .collect();
        for server in servers {
            server.join().unwrap().unwrap();
        }
    }
}
