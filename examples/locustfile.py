"""Load for a served model: every user sends its next request when the last one is answered.

locust --locustfile examples/locustfile.py --host http://127.0.0.1:8080 \
  --headless --users 4 --spawn-rate 4 --run-time 30s

LOAD_TEXTS       a file with one text per line; a few samples without it
LOAD_BATCH_SIZE  texts per request; 1 without it
"""

from itertools import count

# Locust puts the folder of this file on the path.
from load_requests import HEADERS, PATH, batch_size, bodies, problem, read_texts
from locust import FastHttpUser, task

TEXTS, SIZE = read_texts(), batch_size()
NUMBERS = count()


class Caller(FastHttpUser):
    """One client, which keeps its connection."""

    def on_start(self) -> None:
        self.bodies = bodies(TEXTS, SIZE, start=next(NUMBERS) * SIZE)  # not all the same texts

    @task
    def classify(self) -> None:
        name = f"{PATH} ({SIZE} {'text' if SIZE == 1 else 'texts'})"
        with self.client.post(
            PATH, data=next(self.bodies), headers=HEADERS, name=name, catch_response=True
        ) as answer:
            # Locust itself names what went wrong where no answer came.
            if answer.status_code and (found := problem(answer.status_code, answer.content, SIZE)):
                answer.failure(found)
