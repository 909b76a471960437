//! Uploads over a line, until each has ended.

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::{Client, Kind};
use crate::line::Told;
use crate::measure::Taken;
use crate::run::Context;
use crate::run::limited::{End, Limited};
use crate::run::line_process::Line;
use crate::run::machine::Watch;
use crate::run::network::Network;
use crate::run::runs::{OverLine, Run};
use crate::run::scene::Scene;
use crate::run::server_process::Server;

/// How often it is looked who has ended.
const BETWEEN: Duration = Duration::from_millis(10);

/// One client with its own line and its own server.
pub(super) struct Going {
    // Ended first when this is dropped.
    command: Limited,
    line: Line,
    server: Server,
    ended: Option<Ended>,
}

struct Ended {
    end: End,
    wall_s: f64,
    told: Told,
}

impl Going {
    pub(super) fn begin(
        context: &Context,
        kind: &Kind,
        client: &Client,
        file: &Path,
        network: Option<&Network>,
    ) -> Result<Self> {
        let server = Server::partwise(&context.partwise, "none", context.scratch())?;
        let line = Line::start(&kind.options(), &server.origin)?;
        if let Some(network) = network {
            network.drop_some(line.port()?, context.scratch())?;
        }
        let scene = Scene {
            origin: line.origin.clone(),
            certificate: None,
            file: file.to_owned(),
            length: kind.length,
            part_size: None,
            parallel: 1,
            parts_at: server.begin_upload(kind.length)?,
            scratch: context.scratch().to_owned(),
        };
        let command = client.contender.command(&scene)?;
        let said = context.scratch().join(format!("said-{}", line.port()?));
        let command = Limited::start(&command, kind.limit(client.is_peer), said)?;
        Ok(Self { command, line, server, ended: None })
    }

    /// Takes down how it ended, once it has.
    fn has_ended(&mut self) -> Result<bool> {
        if self.ended.is_none() {
            if let Some((end, wall_s)) = self.command.ended()? {
                self.ended = Some(Ended { end, wall_s, told: self.line.told()? });
            }
        }
        Ok(self.ended.is_some())
    }
}

/// Waits for all of them. What else the machine did meanwhile is the same for all.
pub(super) fn to_the_end(kind: &Kind, mut going: Vec<Going>) -> Result<Vec<Run>> {
    let watch = Watch::begin()?;
    let before = service_cpu_s(&going)?;
    let mut left = going.len();
    while left > 0 {
        thread::sleep(BETWEEN);
        left = 0;
        for one in &mut going {
            left += usize::from(!one.has_ended()?);
        }
    }
    let service_cpu_s = service_cpu_s(&going)? - before;
    let ended: Vec<_> = going.into_iter().filter_map(|one| one.ended).collect();
    let others = watch.others(service_cpu_s)?;
    let run = |Ended { end, wall_s, told }| Run {
        bytes: kind.length,
        taken: Taken { wall_s, ..Taken::default() },
        service_cpu_s,
        others,
        line: Some(OverLine { ideal_s: kind.ideal_s(), is_whole: kind.is_whole(), end, told }),
        ..Run::default()
    };
    Ok(ended.into_iter().map(run).collect())
}

fn service_cpu_s(going: &[Going]) -> Result<f64> {
    going.iter().map(|one| Ok(one.server.cpu_s()? + one.line.cpu_s()?)).sum()
}
