from __future__ import annotations

import gc
import logging
import threading

from pyg_irllrec.serving.http._bundle_folder import BundleFolder
from pyg_irllrec.serving.http._metrics import Metrics
from pyg_irllrec.serving.http.service import Service

logger = logging.getLogger('pyg_irllrec.serving')


class Reloader:
    r"""A thread that looks for a new bundle and puts it in the place of the old one,
    which serves until then; where the new one cannot be read, or the folder is gone, it
    serves on.

    Args:
        folder (BundleFolder): Where bundles are saved.
        service (Service): What serves.
        metrics (Metrics): Where reloads are counted.
        seconds (float): How often it looks.
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
        r"""Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        r"""Look no more; a bundle that is being read is left."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            if self._folder.has_new():
                self.reload()

    def reload(self) -> None:
        r"""Read the bundle of the folder and serve it, if it can be read."""
        try:
            bundle, version = self._folder.load()
            self._service.replace(bundle, version)
        except Exception as error:  # Whatever is wrong with it, the old one serves on.
            self._service.reload_error = f'{type(error).__name__}: {error}'
            self._metrics.reloads.labels('refused').inc()
            logger.error('the bundle cannot be read, the old one serves on: %s', error)
            return
        self._metrics.reloads.labels('loaded').inc()
        self._metrics.show_version(version)
        logger.info('bundle %s serves', version)
        del bundle
        if gc.get_freeze_count() > 0:  # By serve(): the old bundle is to be freed.
            gc.unfreeze()
            gc.collect()
            gc.freeze()
