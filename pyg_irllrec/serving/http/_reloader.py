from __future__ import annotations

import gc
import logging
import threading

from pyg_irllrec.serving.http._bundle_folder import BundleFolder
from pyg_irllrec.serving.http._metrics import Metrics
from pyg_irllrec.serving.http.service import Service

logger = logging.getLogger('pyg_irllrec.serving')


class Reloader:
    r"""A thread that watches for a new bundle and replaces the served one with it. If
    the new bundle cannot be loaded, or the folder is gone, the old one is still served.

    Args:
        folder (BundleFolder): The folder to watch.
        service (Service): The service.
        metrics (Metrics): Counts the reloads.
        seconds (float): The number of seconds between two checks.
    """

    def __init__(
        self, folder: BundleFolder, service: Service, metrics: Metrics, seconds: float
    ) -> None:
        self._folder = folder
        self._service = service
        self._metrics = metrics
        self._seconds = seconds
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name='reload', daemon=True)

    def start(self) -> None:
        r"""Start to watch."""
        self._thread.start()

    def stop(self) -> None:
        r"""Stop watching, without waiting for a bundle that is being loaded."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            if self._folder.has_new():
                self.reload()

    def reload(self) -> None:
        r"""Load the bundle of the folder and serve it, if it can be loaded."""
        try:
            bundle, version = self._folder.load()
            self._service.replace(bundle, version)
        except Exception as error:  # No fault of a new bundle may stop the service.
            self._service.reload_error = f'{type(error).__name__}: {error}'
            self._metrics.reloads.labels('refused').inc()
            logger.error(
                'the new bundle cannot be loaded, the old one is still served: %s',
                error,
            )
            return
        self._metrics.reloads.labels('loaded').inc()
        self._metrics.show_version(version)
        logger.info('bundle %s is now served', version)
        del bundle
        if gc.get_freeze_count() > 0:  # By serve(), which froze the old bundle.
            gc.unfreeze()
            gc.collect()
            gc.freeze()
