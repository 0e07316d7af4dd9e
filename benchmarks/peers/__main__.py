"""python -m benchmarks.peers: measure a finished run's student against its peers."""

from benchmarks.peers.command import peers_command
from decant.runtime.ending import exit_on_error

if __name__ == "__main__":
    with exit_on_error():
        peers_command()
