//! Servers that store what they are sent: ours, and nginx.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::{Value, json};

use super::ending::end_descendants_of;
use super::machine;
use super::tools::Tool;
use crate::tether::tethered;

/// How long a server may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server with a folder of its own, ended and emptied when dropped.
pub(crate) struct Server {
    child: Child,
    /// Itself and those that it works with.
    processes: Vec<u32>,
    pub(crate) origin: String,
    /// Where its files are.
    pub(crate) root: PathBuf,
    _folder: tempfile::TempDir,
}

impl Server {
    /// `partwise serve`, which takes any key.
    pub(crate) fn partwise(partwise: &Path, durability: &str, scratch: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(scratch)?;
        let mut command = Command::new(partwise);
        command.args(["serve", "--listen", "127.0.0.1:0", "--durability", durability, "--store"]);
        command.arg(folder.path());
        let child = tethered(&command)?
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("partwise serve")?;
        let (processes, root) = (vec![child.id()], folder.path().to_owned());
        // From here on it is ended whatever happens.
        let mut server = Self { child, processes, origin: String::new(), root, _folder: folder };
        let mut line = String::new();
        BufReader::new(server.child.stdout.as_mut().context("it has no output")?).read_line(&mut line)?;
        let origin = line.trim_end().strip_prefix("listening on ");
        origin.with_context(|| format!("partwise serve said {line:?}"))?.clone_into(&mut server.origin);
        Ok(server)
    }

    /// nginx with a worker for each processor, which takes `PUT` for any path.
    pub(crate) fn nginx(nginx: &Tool, scratch: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(scratch)?;
        let root = folder.path().join("root");
        fs::create_dir(&root)?;
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let config = folder.path().join("nginx.conf");
        fs::write(&config, nginx_config(folder.path(), &address))?;
        let mut command = nginx.command();
        command.arg("-c").arg(config).arg("-e").arg(folder.path().join("error.log"));
        let child = tethered(&command)?.spawn()?;
        let (processes, origin) = (vec![child.id()], format!("http://{address}"));
        let mut server = Self { child, processes, origin, root, _folder: folder };
        let begin = Instant::now();
        let workers = thread::available_parallelism()?.get();
        while TcpStream::connect(&address).is_err()
            || machine::children_of(server.child.id())?.len() < workers
        {
            ensure!(begin.elapsed() < PATIENCE, "nginx does not start");
            thread::sleep(Duration::from_millis(20));
        }
        server.processes.extend(machine::children_of(server.child.id())?);
        Ok(server)
    }

    pub(crate) fn cpu_s(&self) -> Result<f64> {
        self.processes.iter().map(|process| machine::cpu_of(*process)).sum()
    }

    /// The most that any one of its processes has had.
    pub(crate) fn peak_kib(&self) -> Result<u64> {
        let peaks: Result<Vec<_>> =
            self.processes.iter().map(|process| machine::peak_kib_of(*process)).collect();
        Ok(peaks?.into_iter().max().unwrap_or_default())
    }

    /// Begins an upload of so many bytes, and says where its parts go.
    pub(crate) fn begin_upload(&self, bytes: u64) -> Result<String> {
        let body = json!({"bytes": bytes, "filename": "x.bin", "mime_type": "application/octet-stream", "purpose": "user_data"});
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.origin.trim_start_matches("http://"))?;
        write!(
            stream,
            "POST /v1/uploads HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer key\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, json) = answer.split_once("\r\n\r\n").context("no answer")?;
        let upload: Value = serde_json::from_str(json).with_context(|| answer.clone())?;
        Ok(format!("/v1/uploads/{}/parts", upload["id"].as_str().context("an upload has an id")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its workers only when it is asked to end itself.
        if let Ok(process) = self.child.id().try_into() {
            let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
        }
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begin.elapsed() > PATIENCE {
                end_descendants_of(self.child.id());
                let _ = self.child.kill();
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.wait();
    }
}

fn nginx_config(folder: &Path, address: &str) -> String {
    let folder = folder.display();
    // Its workers would otherwise be somebody who may not enter the folder.
    let user = if geteuid().is_root() { "user root;" } else { "" };
    format!(
        "{user}
daemon off;
worker_processes auto;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 768; }}
http {{
  sendfile on;
  tcp_nopush on;
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type application/octet-stream;
  server {{
    listen {address};
    root {folder}/root;
    location / {{ dav_methods PUT; dav_access user:rw; }}
  }}
}}
"
    )
}
