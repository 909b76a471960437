//! The environment, read in one place so that tests can hand in one of their own.

use crate::report::Report;

/// Environment variables by name. One that is set to nothing counts as not set, as in the official SDKs.
pub(crate) trait Environment {
    /// The variable's value. An error when it is not valid UTF-8.
    fn get(&self, name: &str) -> Result<Option<String>, Report>;

    /// Whether the variable is 1. An error when it is neither that nor 0.
    fn flag(&self, name: &str) -> Result<bool, Report> {
        match self.get(name)?.as_deref() {
            Some("1") => Ok(true),
            None | Some("0") => Ok(false),
            Some(other) => Err(Report::failed(format!("{name}: '{other}' is neither 1 nor 0"))),
        }
    }
}

/// The environment of this process.
#[derive(Debug)]
pub(crate) struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Result<Option<String>, Report> {
        let Some(value) = std::env::var_os(name) else { return Ok(None) };
        let value = value
            .into_string()
            .map_err(|_| Report::failed(format!("the value of {name} is not valid UTF-8")))?;
        Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
    }
}

#[cfg(test)]
impl Environment for &[(&str, &str)] {
    fn get(&self, name: &str) -> Result<Option<String>, Report> {
        Ok(self.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }
}
