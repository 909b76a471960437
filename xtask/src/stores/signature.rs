//! The two signed requests that make a bucket and a container.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::process::output;

/// The region that the S3 stores take requests for.
pub(super) const REGION: &str = "us-east-1";

const AZURE_VERSION: &str = "2021-08-06";
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes a bucket in a store that speaks S3's protocol.
pub(super) fn make_bucket(port: u16, bucket: &str, access_key: &str, secret_key: &str) -> Result<()> {
    let time = utc("%Y%m%dT%H%M%SZ")?;
    let day = &time[..8];
    let content = hex(&Sha256::digest(b""));
    let signed = "host;x-amz-content-sha256;x-amz-date";
    let headers = format!("x-amz-content-sha256:{content}\nx-amz-date:{time}\n");
    let request = format!("PUT\n/{bucket}\n\nhost:127.0.0.1:{port}\n{headers}\n{signed}\n{content}");
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
    let mut key = hmac(format!("AWS4{secret_key}").as_bytes(), day.as_bytes());
    for word in [REGION, "s3", "aws4_request"] {
        key = hmac(&key, word.as_bytes());
    }
    let signature = hex(&hmac(&key, text.as_bytes()));
    let credential = format!("Credential={access_key}/{scope}");
    let headers = format!(
        "x-amz-content-sha256: {content}\r\nx-amz-date: {time}\r\n\
         Authorization: AWS4-HMAC-SHA256 {credential}, SignedHeaders={signed}, Signature={signature}\r\n"
    );
    put(port, &format!("/{bucket}"), &headers)
}

/// Makes a container in Azure Blob Storage.
pub(super) fn make_container(port: u16, account: &str, key: &[u8], container: &str) -> Result<()> {
    let time = utc("%a, %d %b %Y %H:%M:%S GMT")?;
    let headers = format!("x-ms-date:{time}\nx-ms-version:{AZURE_VERSION}");
    // The account is named by the host, which an emulator does not have, and by the path.
    let resource = format!("/{account}/{account}/{container}\nrestype:container");
    // Of the eleven headers that are always signed, this request has none.
    let text = format!("PUT{}{headers}\n{resource}", "\n".repeat(12));
    let signature = STANDARD.encode(hmac(key, text.as_bytes()));
    let headers = format!(
        "x-ms-date: {time}\r\nx-ms-version: {AZURE_VERSION}\r\n\
         Authorization: SharedKey {account}:{signature}\r\n"
    );
    put(port, &format!("/{account}/{container}?restype=container"), &headers)
}

fn put(port: u16, target: &str, headers: &str) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let always = format!("Host: 127.0.0.1:{port}\r\nContent-Length: 0\r\nConnection: close\r\n");
    write!(stream, "PUT {target} HTTP/1.1\r\n{always}{headers}\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    ensure!(["200", "201"].contains(&status), "PUT {target} was answered: {answer}");
    Ok(())
}

fn utc(format: &str) -> Result<String> {
    let mut date = Command::new("date");
    let time = output(date.args(["-u", &format!("+{format}")]).env("LC_ALL", "C"))?;
    Ok(time.trim_end().to_owned())
}

/// HMAC-SHA-256 with a key that is no longer than a block.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::new();
    for byte in bytes {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        // RFC 4231, test case 2.
        let digest = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&digest), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
